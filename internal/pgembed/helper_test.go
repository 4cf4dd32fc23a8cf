package pgembed_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgembed"
)

// setTempDir changes where servers without a directory make theirs.
func setTempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // or the server's user could not enter it
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

func start(t *testing.T, config pgembed.Config) *pgembed.Server {
	t.Helper()
	s, err := pgembed.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, s)
	return s
}

func stopAfter(t *testing.T, s *pgembed.Server) {
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

func connect(t *testing.T, s *pgembed.Server, database string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.Database = database
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func query[T any](t *testing.T, s *pgembed.Server, database, sql string) T {
	t.Helper()
	var value T
	if err := connect(t, s, database).QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// postmaster returns the process id that the server itself wrote down.
func postmaster(t *testing.T, s *pgembed.Server) int {
	t.Helper()
	pid, err := strconv.Atoi(lockFile(t, s)[0][0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// lockFile is the words of each line of the running server's postmaster.pid.
func lockFile(t *testing.T, s *pgembed.Server) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir(), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var words [][]string
	for line := range strings.Lines(string(text)) {
		words = append(words, strings.Fields(line))
	}
	return words
}

// until polls for something that no channel tells.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
