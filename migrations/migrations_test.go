package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var sets = []migrations.Set{migrations.Orders, migrations.Payments}

func TestDownUndoesUp(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) {
			t.Parallel()
			db := pgtest.Empty(t)
			check(t, set, db, migrations.ErrSchema)
			up(t, set, db)
			check(t, set, db, nil)
			first := objects(t, db)
			if err := set.Down(t.Context(), db.URL); err != nil {
				t.Fatal(err)
			}
			check(t, set, db, migrations.ErrSchema)
			if left := objects(t, db); len(left) > 0 {
				t.Errorf("Down left %v", left)
			}
			up(t, set, db)
			check(t, set, db, nil)
			if diff := cmp.Diff(first, objects(t, db)); diff != "" {
				t.Errorf("what Up makes after Down (-want +got):\n%s", diff)
			}
			if again, err := set.Up(t.Context(), db.URL, nil); err != nil || len(again) != 0 {
				t.Errorf("Up with nothing to do: got %v, %v", again, err)
			}
		})
	}
}

// Five replicas are rolled out at once, and each migrates before it serves. One does the work, all go on.
func TestConcurrentUp(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) {
			t.Parallel()
			db := pgtest.Empty(t)
			var (
				wg      sync.WaitGroup
				mu      sync.Mutex
				applied []int64
			)
			for range 5 {
				wg.Go(func() {
					versions, err := set.Up(t.Context(), db.URL, nil)
					if err != nil {
						t.Errorf("concurrent Up: %v", err)
					}
					mu.Lock()
					defer mu.Unlock()
					applied = append(applied, versions...)
				})
			}
			wg.Wait()
			check(t, set, db, nil)
			slices.Sort(applied)
			if once := slices.Compact(slices.Clone(applied)); len(once) != len(applied) {
				t.Errorf("got versions %v applied, want each once", applied)
			}
		})
	}
}

// A report reads a table for long, and a migration wants to change that table. It does not get its way before the
// report ends, and whoever writes meanwhile is held up for a moment only: not by the report, and not by the migration
// that waits.
func TestAMigrationThatWaitsForAReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for locks")
	db := pgtest.Empty(t)
	folder := fstest.MapFS{
		"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (n integer);\n" +
			"-- +goose Down\nDROP TABLE notes;\n")},
	}
	if _, err := migrations.Apply(t.Context(), db.URL, folder, nil); err != nil {
		t.Fatal(err)
	}
	report, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer report.Rollback(context.WithoutCancel(t.Context()))
	if _, err := report.Exec(t.Context(), `SELECT FROM notes`); err != nil {
		t.Fatal(err)
	}
	folder["00002_table.sql"] = &fstest.MapFile{
		Data: []byte("-- +goose Up\nCREATE TABLE others ();\n" +
			"-- +goose Down\nDROP TABLE others;\n"),
	}
	folder["00003_column.sql"] = &fstest.MapFile{
		Data: []byte("-- +goose Up\nALTER TABLE notes ADD COLUMN text text;\n" +
			"-- +goose Down\nALTER TABLE notes DROP COLUMN text;\n"),
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	waits, ended := make(chan error, 1), make(chan error, 1)
	var applied []int64
	go func() {
		var err error
		applied, err = migrations.Apply(ctx, db.URL, folder, func(err error) {
			select {
			case waits <- err:
			default:
			}
		})
		ended <- err
	}()
	select {
	case err := <-waits:
		if err == nil {
			t.Error("got a wait without the error that it is for")
		}
	case err := <-ended:
		t.Fatalf("the migration ended before the report: %v", err)
	}
	if _, err := db.Pool.Exec(ctx, `INSERT INTO notes VALUES (1)`); err != nil {
		t.Errorf("a writer while the migration waits: %v", err)
	}
	if err := report.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || !slices.Equal(applied, []int64{2, 3}) {
		t.Errorf("got versions %v applied, and %v; want 2 and 3, from before and after the wait", applied, err)
	}
	if err := migrations.Undo(ctx, db.URL, folder); err != nil || len(objects(t, db)) > 0 {
		t.Errorf("after Undo: got %v, %v; want nothing left", err, objects(t, db))
	}
}

// Whoever stops a migration that waits is told what it waited for.
func TestAMigrationThatWaitsMayBeStopped(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for locks")
	db := pgtest.Empty(t)
	up(t, migrations.Orders, db)
	reader, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback(context.WithoutCancel(t.Context()))
	if _, err := reader.Exec(t.Context(), `SELECT FROM orders`); err != nil {
		t.Fatal(err)
	}
	folder := fstest.MapFS{
		"00099_column.sql": {Data: []byte("-- +goose Up\nALTER TABLE orders ADD COLUMN note text;\n")},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err = migrations.Apply(ctx, db.URL, folder, func(error) { stop() })
	var refused *pgconn.PgError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &refused) || refused.Code != "55P03" {
		t.Errorf("got %v, want that it was stopped, and that the lock was missing", err)
	}
}

// A migration that is told to stop while it works is finished: its COMMIT would be cancelled else.
func TestAMigrationThatHasBegunIsFinished(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	folder := fstest.MapFS{
		"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (n integer);\nSELECT pg_sleep(0.2);\n")},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := migrations.Apply(ctx, db.URL, folder, nil)
		ended <- err
	}()
	const working = `
		SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')`
	for begun := false; !begun; {
		if err := db.Pool.QueryRow(t.Context(), working).Scan(&begun); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want it finished", err)
	}
	exec(t, db, `INSERT INTO notes VALUES (1)`)
	if _, err := migrations.Apply(ctx, db.URL, folder, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop before it began: got %v, want that", err)
	}
}

// A newer schema than the program knows is fine; an older one is not, even by one version.
func TestCheckComparesVersions(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) {
			t.Parallel()
			db := pgtest.Empty(t)
			applied := up(t, set, db)
			newest := applied[len(applied)-1]
			exec(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, newest+1)
			check(t, set, db, nil)
			exec(t, db, `DELETE FROM goose_db_version WHERE version_id >= $1`, newest)
			check(t, set, db, migrations.ErrSchema)
		})
	}
}

func up(t *testing.T, set migrations.Set, db *pgtest.Database) []int64 {
	t.Helper()
	applied, err := set.Up(t.Context(), db.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) == 0 {
		t.Fatal("Up applied nothing")
	}
	return applied
}

func check(t *testing.T, set migrations.Set, db *pgtest.Database, want error) {
	t.Helper()
	if err := set.Check(t.Context(), db.Pool, nil); !errors.Is(err, want) {
		t.Errorf("check: got %v, want %v", err, want)
	}
}

// objects are the tables, indexes, sequences, functions and types of the database, but for goose's own.
func objects(t *testing.T, db *pgtest.Database) []string {
	t.Helper()
	return column[string](t, db, `
		SELECT object
		FROM (
			SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
			UNION ALL
			SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL
			SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
			UNION ALL
			SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'
		) AS everything (object)
		WHERE object !~ 'goose_db_version'
		ORDER BY object`)
}

// columns are "name type", with " null" for those that may be.
func columns(t *testing.T, db *pgtest.Database) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for _, table := range column[string](t, db, `
		SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'goose_db_version'`) {
		found[table] = column[string](t, db, `
			SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN '' ELSE ' null' END
			FROM pg_attribute
			WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
			ORDER BY attnum`, table)
	}
	return found
}

func column[T any](t *testing.T, db *pgtest.Database, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func exec(t *testing.T, db *pgtest.Database, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// row is one row of a table, by column; what it does not mention takes its default.
type row map[string]any

func (r row) with(changes row) row {
	changed := maps.Clone(r)
	maps.Copy(changed, changes)
	return changed
}

func (r row) insert(ctx context.Context, pool *pgxpool.Pool, table string) error {
	names := slices.Sorted(maps.Keys(r))
	marks := make([]string, len(names))
	values := make([]any, len(names))
	for i, name := range names {
		marks[i] = fmt.Sprintf("$%d", i+1)
		values[i] = r[name]
	}
	_, err := pool.Exec(ctx, fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`,
		table, strings.Join(names, ", "), strings.Join(marks, ", ")), values...)
	return err
}

// refused wants the error to name the constraint; an empty name wants no error.
func refused(t *testing.T, err error, constraint string) {
	t.Helper()
	var pgErr *pgconn.PgError
	switch {
	case constraint == "" && err != nil:
		t.Errorf("got %v, want it allowed", err)
	case constraint == "":
	case !errors.As(err, &pgErr):
		t.Errorf("got %v, want it refused by %s", err, constraint)
	case pgErr.ConstraintName != constraint:
		t.Errorf("got %v by %q, want it refused by %s", err, pgErr.ConstraintName, constraint)
	}
}

// allowed tells whether a status may be followed by another; to be written again is not to change.
func allowed(statuses map[string][]string, from, to string) bool {
	return from == to || slices.Contains(statuses[from], to)
}

// ifNot returns the constraint that refuses what is not allowed.
func ifNot(allowed bool, constraint string) string {
	if allowed {
		return ""
	}
	return constraint
}

// notNull wants the error of a column that may not be NULL, which PostgreSQL 15 does not name as a constraint.
func notNull(t *testing.T, err error) {
	t.Helper()
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "23502" {
		t.Errorf("got %v, want it refused as NULL", err)
	}
}

// What a daemon serves with, its migrate command takes as well: the parameters of the pool are none of the server's.
func TestMigrateTakesTheURLThatServeTakes(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for _, parameter := range []string{
		"pool_max_conns=8", "pool_max_conn_lifetime=1h", "pool_health_check_period=1m", "search_path=public",
	} {
		if _, err := migrations.Orders.Up(t.Context(), db.URL+"&"+parameter, nil); err != nil {
			t.Errorf("%s: %v", parameter, err)
		}
	}
	if _, err := migrations.Orders.Up(t.Context(), "postgres://near.example", nil); err == nil ||
		!strings.Contains(err.Error(), "it names no database") {
		t.Errorf("got %v of a URL without a database, want it refused", err)
	}
}
