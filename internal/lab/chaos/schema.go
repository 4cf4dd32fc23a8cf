package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"hosho/migrations"
)

// migrate changes the schemas of both databases while somebody reads a table of theirs for long, and back again.
func migrate(ctx context.Context, s *system, _ *rand.Rand) error {
	var both errgroup.Group
	both.Go(func() error { return migrateUnderAReader(ctx, s.orders, s.OrdersURL(), "orders", "outbox") })
	both.Go(func() error { return migrateUnderAReader(ctx, s.payments, s.PaymentsURL(), "payments", "ledger") })
	return both.Wait()
}

// migrateUnderAReader adds a column to the tables. The first one is read until ctx ends.
func migrateUnderAReader(ctx context.Context, pool *pgxpool.Pool, url string, tables ...string) error {
	forever := context.WithoutCancel(ctx)
	reader, err := pool.Begin(forever)
	if err != nil {
		return err
	}
	if _, err := reader.Exec(forever, `LOCK TABLE `+pgx.Identifier{
		tables[0],
	}.Sanitize()+` IN ACCESS SHARE MODE`); err != nil {
		return errors.Join(err, reader.Rollback(forever))
	}
	applied := make(chan error, 1)
	go func() {
		_, err := migrations.Apply(forever, url, nextVersion(tables), nil)
		applied <- err
	}()
	<-ctx.Done()
	if err := errors.Join(reader.Rollback(forever), <-applied); err != nil {
		return err
	}
	return migrations.Undo(forever, url, nextVersion(tables))
}

// nextVersion is what the next release might bring: a column more, and locks in the order in which everybody takes
// them.
func nextVersion(tables []string) fs.FS {
	up, down := "-- +goose Up\n", "-- +goose Down\n"
	for _, table := range tables {
		up += fmt.Sprintf("ALTER TABLE %s ADD COLUMN next text;\n", table)
		down += fmt.Sprintf("ALTER TABLE %s DROP COLUMN next;\n", table)
	}
	return fstest.MapFS{"90000_next.sql": {Data: []byte(up + down)}}
}
