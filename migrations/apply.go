package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"hosho/internal/pg"
	"hosho/internal/wait"
)

// A migration that waits for a table's lock, because somebody reads the table for long, has everybody who comes later
// wait behind it. So it gives its place up after lockTimeout, lets those pass for lockPause, and tries again: a request
// is held up for a second at most. After lockTries, a few minutes, it gives up.
const (
	lockTimeout = "1s"
	lockPause   = time.Second
	lockTries   = 90
)

// ErrLocked says that a migration could not get the lock on a table, because other transactions did not end. Nothing of
// it was applied.
var ErrLocked = errors.New("a table is locked by a transaction that does not end " +
	"(see pg_stat_activity and pg_blocking_pids): end it, or migrate later")

// Up applies what is missing, one process at a time: the others wait for an advisory lock, a minute at most, and get
// ErrBusy then. It returns the versions that it applied. waiting is told each time that a table's lock could not be had
// within a second; it may be nil. ErrLocked when that goes on for minutes; ErrForeign or ErrUnfit, and nothing applied,
// when the database is another set's or cannot hold every name. A pooler in transaction mode may stand before the
// server: nothing is left behind in its sessions.
func (s Set) Up(ctx context.Context, databaseURL string, waiting func(error)) ([]int64, error) {
	if err := s.Accept(ctx, databaseURL); err != nil {
		return nil, fmt.Errorf("migrate %s: %w", s, err)
	}
	applied, err := Apply(ctx, databaseURL, s.folder(), waiting)
	if err != nil {
		return applied, fmt.Errorf("migrate %s: %w", s, err)
	}
	return applied, nil
}

// Accept looks at a database before it is migrated, or given roles: ErrForeign or ErrUnfit, when it is another set's or
// cannot hold every name.
func (s Set) Accept(ctx context.Context, databaseURL string) error {
	config, err := single(databaseURL)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := s.look(ctx, conn, nil)
	if err != nil {
		return err
	}
	if err := found.belongs(s); err != nil {
		return err
	}
	return found.holdsNames()
}

// Apply does for any folder of migrations what Up does for those of a set.
func Apply(ctx context.Context, databaseURL string, folder fs.FS, waiting func(error)) ([]int64, error) {
	return patiently(ctx, waiting, func(whole context.Context) ([]*goose.MigrationResult, error) {
		return with(databaseURL, folder, func(p *goose.Provider) ([]*goose.MigrationResult, error) {
			return p.Up(whole)
		})
	})
}

// Undo undoes the migrations of a folder, the newest first. What is in the tables goes with them.
func Undo(ctx context.Context, databaseURL string, folder fs.FS) error {
	_, err := patiently(ctx, nil, func(whole context.Context) ([]*goose.MigrationResult, error) {
		return with(databaseURL, folder, func(p *goose.Provider) ([]*goose.MigrationResult, error) {
			oldest := p.ListSources()[0].Version
			return p.DownTo(whole, oldest-1)
		})
	})
	return err
}

// Down undoes everything, data included. Tests prove with it that every Down undoes its Up.
func (s Set) Down(ctx context.Context, databaseURL string) error {
	if err := Undo(ctx, databaseURL, s.folder()); err != nil {
		return fmt.Errorf("undo %s: %w", s, err)
	}
	return nil
}

// patiently migrates until no lock is missing, and returns the versions that were applied in all tries. The end of ctx
// ends it between two tries: a COMMIT is not cancelled (rule 11 of doc/rules.md), and no try waits long for a lock.
func patiently(
	ctx context.Context, waiting func(error), migrate func(whole context.Context) ([]*goose.MigrationResult, error),
) (applied []int64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for range lockTries {
		var results []*goose.MigrationResult
		results, err = migrate(context.WithoutCancel(ctx))
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, r := range results {
			applied = append(applied, r.Source.Version)
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "55P03" { // lock_not_available
			return applied, err
		}
		if waiting != nil {
			waiting(err)
		}
		if !wait.For(ctx, lockPause) {
			return applied, errors.Join(ctx.Err(), err)
		}
	}
	return applied, fmt.Errorf("%w: %w", ErrLocked, err)
}

// with has a provider work on a database.
func with(
	databaseURL string, folder fs.FS, work func(*goose.Provider) ([]*goose.MigrationResult, error),
) ([]*goose.MigrationResult, error) {
	config, err := single(databaseURL)
	if err != nil {
		return nil, err
	}
	locker := &locker{config: config}
	db := locker.open()
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return work(provider)
}

// single is how migrations connect, to whatever the URL names, a pooler in transaction mode among it: what they need of
// a session is over when their transactions are.
func single(databaseURL string) (*pgx.ConnConfig, error) {
	return pg.Config{URL: databaseURL, Application: "migrate"}.Single()
}
