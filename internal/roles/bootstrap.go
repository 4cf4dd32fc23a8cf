package roles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/migrations"
)

// Done is what Bootstrap did.
type Done struct {
	Roles     []string // that it made
	Database  bool     // it made the database
	Passwords []string // the logins that were there, and have another password now
	Given     int      // how many tables, sequences, functions and types it gave to their owner
	Granted   bool     // the rights are given; else the database is not migrated so far, and migrating it gives them
}

// Bootstrap makes the groups and logins of a database, and the database itself where it is missing, and gives it and
// what was migrated in it to the owner. It writes each login's URL into a file of its name, in the folder dir, which it
// makes. The URL is that of a superuser, or of a role with CREATEROLE that owns the database or has CREATEDB. A
// database of the other set is refused, migrations.ErrForeign.
func Bootstrap(ctx context.Context, set migrations.Set, databaseURL, dir string) (Done, error) {
	done, err := bootstrap(ctx, set, databaseURL, dir)
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == "55P03" {
		err = fmt.Errorf("%w: a table is in use: do it again", err)
	}
	if err != nil {
		return done, fmt.Errorf("the roles of %s: %w", set, err)
	}
	return done, nil
}

func bootstrap(ctx context.Context, set migrations.Set, databaseURL, dir string) (done Done, err error) {
	config, err := pg.Config{URL: databaseURL, Application: "bootstrap"}.Single()
	if err != nil {
		return done, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return done, err
	}
	verifiers, fresh := map[string]string{}, map[string]bool{}
	for _, login := range logins[set] {
		password, isNew, err := writeURL(dir, databaseURL, login.Name)
		if err != nil {
			return done, err
		}
		fresh[login.Name] = isNew
		if verifiers[login.Name], err = verifier(password); err != nil {
			return done, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if missing(err) {
		done.Database = true
		if err = create(ctx, config, set, &done); err == nil {
			conn, err = pgx.ConnectConfig(ctx, config)
		}
	}
	if err != nil {
		return done, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := set.Accept(ctx, databaseURL); err != nil {
		return done, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		s := session{tx, set, &done}
		for _, step := range []func(context.Context) error{s.wait, s.makeGroups, s.own} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		for _, login := range logins[set] {
			if err := s.makeLogin(ctx, login, verifiers[login.Name]); err != nil {
				return err
			}
			if fresh[login.Name] && !slices.Contains(done.Roles, login.Name) {
				done.Passwords = append(done.Passwords, login.Name)
			}
		}
		granted, _, err := set.GrantIn(ctx, tx)
		done.Granted = len(granted) > 0
		return err
	})
	return done, err
}

// missing reports whether there is no such database.
func missing(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "3D000"
}

// create makes the database, from one that every server has.
func create(ctx context.Context, config *pgx.ConnConfig, set migrations.Set, done *Done) error {
	elsewhere := config.Copy()
	elsewhere.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, elsewhere)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return session{tx, set, done}.makeGroups(ctx) })
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf(`CREATE DATABASE %s OWNER %s`,
		pgx.Identifier{config.Database}.Sanitize(), owner(set)))
	return err
}

func owner(set migrations.Set) string { return logins[set][0].Group }
