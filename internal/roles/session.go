package roles

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/migrations"
)

// session is a transaction in which the roles of a database are made.
type session struct {
	tx   pgx.Tx
	set  migrations.Set
	done *Done
}

// wait bounds how long those who use a table wait while it is waited for.
func (s session) wait(ctx context.Context) error {
	_, err := s.tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`)
	return err
}

// makeGroups makes the groups that are missing, and has whoever does so be one of the owners.
func (s session) makeGroups(ctx context.Context) error {
	for _, login := range logins[s.set] {
		if err := s.make(ctx, login.Group, "NOLOGIN"); err != nil {
			return err
		}
	}
	var member bool
	err := s.tx.QueryRow(ctx, `SELECT pg_has_role($1, 'USAGE')`, owner(s.set)).Scan(&member)
	if err == nil && !member { // a superuser is one of everything
		_, err = s.tx.Exec(ctx, `GRANT `+owner(s.set)+` TO CURRENT_USER`)
	}
	return err
}

// make makes a role unless there is one.
func (s session) make(ctx context.Context, name, kind string) error {
	var there bool
	err := s.tx.QueryRow(ctx, `SELECT to_regrole($1) IS NOT NULL`, name).Scan(&there)
	if err != nil || there {
		return err
	}
	s.done.Roles = append(s.done.Roles, name)
	_, err = s.tx.Exec(ctx, `CREATE ROLE `+name+` `+kind)
	return err
}

// makeLogin makes a login, or makes one right that is there. One of that name that is not in the group is another
// program's, whose password is not to be changed.
func (s session) makeLogin(ctx context.Context, l Login, verifier string) error {
	var others bool
	err := s.tx.QueryRow(ctx, `
		SELECT to_regrole($1) IS NOT NULL AND NOT EXISTS (
			SELECT FROM pg_auth_members WHERE member = to_regrole($1) AND roleid = to_regrole($2))`,
		l.Name, l.Group).Scan(&others)
	if err == nil && others {
		err = fmt.Errorf("the role %s is there and is not in %s: if it is to be the login of %q, GRANT %[2]s TO "+
			"%[1]s; if it is somebody else's, have the databases on a server of their own", l.Name, l.Group, l.For)
	}
	if err == nil {
		err = s.make(ctx, l.Name, "LOGIN")
	}
	if err != nil {
		return err
	}
	statements := []string{
		fmt.Sprintf(`ALTER ROLE %s LOGIN PASSWORD '%s'`, l.Name, verifier),
		fmt.Sprintf(`GRANT %s TO %s`, l.Group, l.Name),
	}
	for i := 0; i < len(l.settings); i += 2 {
		statements = append(statements,
			fmt.Sprintf(`ALTER ROLE %s SET %s = '%s'`, l.Name, l.settings[i], l.settings[i+1]))
	}
	return s.exec(ctx, statements...)
}

// own gives the owner the database, the schema, and what was migrated there: REASSIGN OWNED would be the way, but for
// the superuser that the server was made with. What is the owner's already is not touched, so that nobody waits.
func (s session) own(ctx context.Context) error {
	rows, err := s.tx.Query(ctx, theirs, owner(s.set))
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if err := s.exec(ctx, statements...); err != nil {
		return err
	}
	rows, err = s.tx.Query(ctx, ours, owner(s.set))
	if err != nil {
		return err
	}
	if statements, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	s.done.Given = len(statements)
	return s.exec(ctx, statements...)
}

// theirs is the statements that give the owner the database and the schema. One of PostgreSQL 15 and later has the
// schema public with the database.
const theirs = `
	SELECT format('ALTER DATABASE %I OWNER TO %I', datname, $1::text)
	FROM pg_database
	WHERE datname = current_database() AND datdba <> to_regrole($1)
	UNION ALL
	SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, $1)
	FROM pg_namespace
	WHERE nspname = current_schema() AND nspowner <> to_regrole($1) AND nspowner <> to_regrole('pg_database_owner')`

// ours is the statements that give the owner what belongs to whoever migrated the database before: extensions are not
// migrated, and sequences go with the columns that they number.
const ours = `
	SELECT format('ALTER %s %s OWNER TO %I', kind, name, $1::text)
	FROM (
		SELECT 'pg_class'::regclass, oid, relnamespace, relowner, oid::regclass::text,
			CASE relkind
				WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE'
			END
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'S', 'v', 'm')
		UNION ALL
		SELECT 'pg_proc'::regclass, oid, pronamespace, proowner, oid::regprocedure::text, 'ROUTINE'
		FROM pg_proc
		UNION ALL
		SELECT 'pg_type'::regclass, oid, typnamespace, typowner, oid::regtype::text, 'TYPE'
		FROM pg_type
		WHERE typtype IN ('d', 'e')
	) AS things (catalog, oid, namespace, owner, name, kind)
	WHERE namespace = current_schema()::regnamespace AND owner <> to_regrole($1)
		AND owner = (SELECT relowner FROM pg_class WHERE oid = to_regclass('goose_db_version'))
		AND NOT EXISTS (
			SELECT FROM pg_depend
			WHERE classid = catalog AND objid = things.oid AND deptype IN ('e', 'a', 'i'))`

func (s session) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
