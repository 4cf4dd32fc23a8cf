package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
)

// What keeps a program from working with a database. The messages say what was got, what is wanted and what to do.
var (
	// ErrSchema says that the schema is older than the program needs, or so new that it has given up what it needs.
	ErrSchema = errors.New("the schema does not fit")
	// ErrForeign says that the database is another program's.
	ErrForeign = errors.New("this is another database")
	// ErrUnfit says that the schema is right, and the database lacks a right, a column, or an encoding for every name.
	ErrUnfit = errors.New("the database is not fit for use")
)

// Database is what Check asks: a pool, or a connection.
type Database interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Ready returns what a server asks again and again: Check of that database. Whoever wants to is told each time which
// version was found, whether it will do or not.
func (s Set) Ready(db Database, needs []pg.Need, tell ...func(version int64)) func(context.Context) error {
	return func(ctx context.Context) error { return s.check(ctx, db, needs, tell) }
}

// Check asks for all that serving needs: the set's own schema, neither too old nor too new; each table, column and
// right that needs name; and an encoding that holds every name. It returns ErrForeign, ErrSchema or ErrUnfit, which
// say what is missing, or what kept it from asking. Whether the server takes writes is pg.Guard's to ask.
//
// A newer schema is fine as long as its compatible_from is no newer than the program: migrations land before the
// programs that need them. It asks twice, and its first question is about the catalog alone, so that what is missing is
// never asked for: a daemon that waits would fill the server's log with errors.
func (s Set) Check(ctx context.Context, db Database, needs []pg.Need) error {
	return s.check(ctx, db, needs, nil)
}

func (s Set) check(ctx context.Context, db Database, needs []pg.Need, tell []func(version int64)) error {
	found, err := s.look(ctx, db, needs)
	if err != nil {
		return err
	}
	for _, tell := range tell {
		tell(found.version)
	}
	if err := found.belongs(s); err != nil {
		return err
	}
	if err := found.holdsNames(); err != nil {
		return err
	}
	if err := found.fits(s); err != nil {
		return err
	}
	return found.usable()
}

// standing is what a database says of itself.
type standing struct {
	Versioned  bool     // goose has migrated here
	Identified bool     // there is a schema_identity
	Hidden     []string // of these two, the tables that may not be read
	Owner      string   // of the database
	Encoding   string   // of the server
	SearchPath string
	Missing    []string // of what is needed

	version          int64
	orders, payments bool   // there is a table of that name
	name             string // of the set; empty: it does not say
	compatibleFrom   int64
}

// look asks the database.
func (s Set) look(ctx context.Context, db Database, needs []pg.Need) (standing, error) {
	wants := wantsOf(needs)
	rows, err := db.Query(ctx, lookQuery, wants.tables, wants.columns, wants.rights)
	if err != nil {
		return standing{}, fmt.Errorf("look at the database of %s: %w", s, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[standing])
	switch {
	case err != nil:
	case len(found.Hidden) > 0:
		return found, fmt.Errorf("%w: it lacks SELECT on %s", ErrUnfit, strings.Join(found.Hidden, ", "))
	case found.Versioned:
		err = one(ctx, db, versionQuery, &found.version, &found.orders, &found.payments)
	}
	if err == nil && found.Identified {
		err = one(ctx, db, `SELECT name, compatible_from FROM schema_identity`, &found.name, &found.compatibleFrom)
	}
	if err != nil {
		return found, fmt.Errorf("look at the database of %s: %w", s, err)
	}
	return found, nil
}

func one(ctx context.Context, db Database, sql string, into ...any) error {
	rows, err := db.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
		return struct{}{}, row.Scan(into...)
	})
	return err
}

// versionQuery asks for the tables along with the version: those of a version that another process has just applied are
// there.
const versionQuery = `
	SELECT coalesce(max(version_id), 0), to_regclass('orders') IS NOT NULL, to_regclass('payments') IS NOT NULL
	FROM goose_db_version
	WHERE is_applied`

// lookQuery has no table in a FROM that might not be there. to_regclass comes first, and columns are found in
// pg_attribute: the functions that ask for a right fail where the table or the column is missing. has_table_privilege
// is for DELETE alone: it is false where rights are on columns.
const lookQuery = `
	SELECT
		to_regclass('goose_db_version') IS NOT NULL AS versioned,
		to_regclass('schema_identity') IS NOT NULL AS identified,
		ARRAY(
			SELECT name
			FROM unnest(ARRAY['goose_db_version', 'schema_identity']) AS name
			WHERE NOT has_any_column_privilege(to_regclass(name), 'SELECT')
		) AS hidden,
		(SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()) AS owner,
		getdatabaseencoding()::text AS encoding,
		current_setting('search_path') AS search_path,
		ARRAY(
			SELECT CASE problem
					WHEN 'table' THEN 'table ' || table_name
					WHEN 'rows' THEN 'rows of ' || table_name || ', which row-level security hides'
					WHEN 'DELETE' THEN 'DELETE on ' || table_name
					ELSE problem || ' ' || table_name || ' (' || string_agg(DISTINCT column_name, ', ') || ')'
				END
			FROM (
				SELECT want.table_name, want.column_name, CASE
					WHEN relation IS NULL THEN 'table'
					WHEN row_security_active(relation) THEN 'rows'
					WHEN want.right_name = 'DELETE' THEN
						CASE WHEN NOT has_table_privilege(relation, 'DELETE') THEN 'DELETE' END
					WHEN attribute.attnum IS NULL THEN 'columns of'
					WHEN NOT has_column_privilege(relation, attribute.attnum, want.right_name) THEN
						want.right_name || ' on'
				END AS problem
				FROM unnest($1::text[], $2::text[], $3::text[]) AS want (table_name, column_name, right_name)
				CROSS JOIN LATERAL to_regclass(want.table_name) AS relation
				LEFT JOIN pg_attribute AS attribute ON attribute.attrelid = relation
					AND attribute.attname = want.column_name AND NOT attribute.attisdropped
			) AS wanted
			WHERE problem IS NOT NULL
			GROUP BY problem, table_name
			ORDER BY table_name, problem
		) AS missing`

// wants are the needs as the query takes them: one right to one column in a row, or to a table.
type wants struct{ tables, columns, rights []string }

func wantsOf(needs []pg.Need) (w wants) {
	add := func(table, right string, columns ...string) {
		for _, column := range columns {
			w.tables, w.columns, w.rights = append(w.tables, table), append(w.columns, column), append(w.rights, right)
		}
	}
	for _, need := range needs {
		add(need.Table, "SELECT", need.Select...)
		add(need.Table, "INSERT", need.Insert...)
		add(need.Table, "UPDATE", need.Update...)
		if need.Delete {
			add(need.Table, "DELETE", "")
		}
	}
	return w
}
