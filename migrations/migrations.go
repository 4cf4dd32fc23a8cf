// Package migrations holds the schema of both databases as goose migrations: the same files serve the goose command
// line and the daemons' migrate commands.
//
// Its promise: Up may be run by any number of processes at once, and beside daemons at work, which it holds up for a
// second at a time; and a daemon can tell whether the schema that it needs is there. Serving never migrates.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

//go:embed orders/*.sql payments/*.sql
var files embed.FS

// The sets, each named after its folder.
const (
	Orders   Set = "orders"
	Payments Set = "payments"
)

// Set is the migrations of one database.
type Set string

// ErrSchema says that the database's schema is older than this program needs.
var ErrSchema = errors.New("the schema is not up to date")

// Database is what Check asks: a pool, or a connection.
type Database interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Ready returns what a server asks until its database has the schema: Check of that database.
func (s Set) Ready(db Database) func(context.Context) error {
	return func(ctx context.Context) error { return s.Check(ctx, db) }
}

// Check returns ErrSchema, with the versions got and wanted and the command to run, when the newest migration is not
// applied. A newer schema is fine: migrations land before the programs that need them.
func (s Set) Check(ctx context.Context, db Database) error {
	want, err := s.latest()
	if err != nil {
		return err
	}
	var got int64
	err = db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&got)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P01" { // undefined_table: never migrated
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", s, err)
	}
	if got < want {
		return fmt.Errorf("%w: database %s is at version %d, want %d: run `%s migrate`",
			ErrSchema, s, got, want, s.owner())
	}
	return nil
}

// owner is the daemon whose command brings the schema up to date.
func (s Set) owner() string {
	return map[Set]string{Orders: "orderd", Payments: "paymentd"}[s]
}

func (s Set) folder() fs.FS {
	sub, err := fs.Sub(files, string(s))
	if err != nil {
		panic(err) // a Set that is not a folder name: only the two constants exist
	}
	return sub
}

func (s Set) latest() (int64, error) {
	names, err := fs.Glob(s.folder(), "*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1]) // Glob sorts, and the numbers have leading zeros
}
