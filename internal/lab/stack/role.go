package stack

import (
	"context"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// Role is what the daemons connect as where Config.Password says so. It may use every table and owns none, so that an
// experiment can take from it what it needs.
const Role = "hosho"

// as returns a database's URL for the daemons.
func (s *Stack) as(direct string) string {
	u, err := url.Parse(direct)
	if s.config.Password == "" || err != nil { // pgembed made it
		return direct
	}
	u.User = url.UserPassword(Role, s.config.Password)
	return u.String()
}

// grant makes the role and gives it its rights, if the daemons have one.
func (s *Stack) grant(ctx context.Context) error {
	if s.config.Password == "" {
		return nil
	}
	for _, server := range []string{s.OrdersURL(), s.PaymentsURL()} {
		if err := grantAll(ctx, server, s.config.Password); err != nil {
			return fmt.Errorf("make the role %s: %w", Role, err)
		}
	}
	for _, server := range s.all() {
		if err := server.AskPassword(ctx, Role); err != nil {
			return err
		}
	}
	return nil
}

// grantAll works on servers that were used before: their role stays.
func grantAll(ctx context.Context, server, password string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf(`
		DO $$ BEGIN
			CREATE ROLE %[1]s LOGIN;
		EXCEPTION WHEN duplicate_object THEN NULL;
		END $$;
		ALTER ROLE %[1]s PASSWORD '%[2]s';
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %[1]s`, Role, password))
	return err
}
