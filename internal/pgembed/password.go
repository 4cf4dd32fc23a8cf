package pgembed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// AskPassword has the server ask some logins for their passwords over TCP, from now on. All others need none.
func (s *Server) AskPassword(ctx context.Context, logins ...string) error {
	roles := strings.Join(logins, ",")
	file := filepath.Join(s.data(), "pg_hba.conf")
	rules, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ask %s for a password: %w", roles, err)
	}
	// The first line that fits counts.
	rules = append([]byte("host all "+roles+" 127.0.0.1/32 scram-sha-256\n"), rules...)
	if err := os.WriteFile(file, rules, 0o600); err != nil { // which keeps its owner
		return fmt.Errorf("ask %s for a password: %w", roles, err)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("ask %s for a password: %w", roles, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `SELECT pg_reload_conf()`)
	return err
}
