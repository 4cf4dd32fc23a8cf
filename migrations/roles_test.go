package migrations_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"hosho/internal/orderdb"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/migrations"
)

// groups are the groups of both databases: the owner comes first, the reader last.
var groups = map[migrations.Set][]string{
	migrations.Orders: {
		"hosho_orders_owner", "hosho_orderd", "hosho_relay", "hosho_repair", "hosho_orders_reader",
	},
	migrations.Payments: {"hosho_payments_owner", "hosho_paymentd", "hosho_payments_reader"},
}

// rolesAt are the migrations that bring the roles.
var rolesAt = map[migrations.Set]int64{migrations.Orders: 24, migrations.Payments: 11}

func makeGroups(t *testing.T, db *pgtest.Database, names ...string) {
	t.Helper()
	for _, name := range names {
		exec(t, db, `CREATE ROLE `+name)
	}
}

// repairNeeds is what sagactl reconcile --repair needs of the orders database.
var repairNeeds = []pg.Need{
	{
		Table: "orders",
		Select: []string{
			"id", "customer_id", "items", "amount_minor", "currency", "status", "cancel_reason", "created_at",
			"updated_at", "deadline_at", "completed_at",
		},
		Update: []string{"updated_at"},
	},
	{
		Table: "outbox",
		Select: []string{
			"id", "key", "kind", "attempts", "claims", "traceparent", "expires_at", "created_at", "ready_at",
			"leased_until", "lease_token", "parked_at", "last_code",
		},
		Insert: []string{"key", "kind", "payload", "expires_at", "traceparent"},
		Update: []string{"ready_at"},
	},
	{Table: "changes", Select: []string{"order_id", "to_status", "cause"}},
	{Table: "audit", Select: []string{"order_id", "action"}},
	{Table: "payments_database", Select: []string{"id"}},
}

// groupNeeds is what each group but the owner needs.
var groupNeeds = map[string][]pg.Need{
	"hosho_orderd": orderdb.OrderdNeeds(), "hosho_relay": orderdb.RelayNeeds(), "hosho_repair": repairNeeds,
	"hosho_paymentd": paymentdb.Needs(),
}

// What a group may do to the tables is what its program's needs.go says, and no more: whoever adds a need without a
// grant, or a grant without a need, sees it here.
func TestEachGroupMayDoWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		makeGroups(t, db, groups[set]...)
		up(t, set, db)
		for _, group := range groups[set][1:] {
			want := []string{"CONNECT", "USAGE"}
			if strings.HasSuffix(group, "_reader") {
				want = append(want, column[string](t, db, `
					SELECT 'SELECT (' || attname || ') ON ' || attrelid::regclass`+fromColumns)...)
			} else {
				want = append(want, pgtest.Rights(append(groupNeeds[group],
					pg.Need{Table: "schema_identity", Select: []string{"name", "compatible_from"}},
					pg.Need{Table: "goose_db_version", Select: []string{"id", "version_id", "is_applied", "tstamp"}},
				))...)
			}
			slices.Sort(want)
			if diff := cmp.Diff(slices.Compact(want), rightsOf(t, db, group)); diff != "" {
				t.Errorf("what %s may do (-needs +may):\n%s", group, diff)
			}
		}
	}
}

// fromColumns is the columns of our tables.
const fromColumns = `
	FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
	WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped`

// rightsOf is all that a role may do in a database.
func rightsOf(t *testing.T, db *pgtest.Database, role string) []string {
	t.Helper()
	return column[string](t, db, `
		SELECT may COLLATE "C"
		FROM (
			SELECT p || ' (' || attname || ') ON ' || attrelid::regclass, has_column_privilege($1, attrelid, attnum, p)
			FROM (SELECT attrelid, attname, attnum`+fromColumns+`) AS c,
				unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p
			UNION ALL
			SELECT p || ' ON ' || oid::regclass, has_table_privilege($1, oid, p)
			FROM pg_class, unnest('{DELETE,TRUNCATE,TRIGGER}'::text[]) AS p
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
			UNION ALL
			SELECT p || ' ON ' || oid::regclass, has_sequence_privilege($1, oid, p)
			FROM pg_class, unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
			UNION ALL
			SELECT p || ' ON ' || oid::regprocedure, has_function_privilege($1, oid, p)
			FROM pg_proc, unnest('{EXECUTE}'::text[]) AS p
			WHERE pronamespace = 'public'::regnamespace
			UNION ALL
			SELECT p, has_schema_privilege($1, 'public', p) FROM unnest('{CREATE,USAGE}'::text[]) AS p
			UNION ALL
			SELECT p, has_database_privilege($1, current_database(), p)
			FROM unnest('{CONNECT,CREATE,TEMPORARY}'::text[]) AS p
		) AS all_rights (may, yes)
		WHERE yes
		ORDER BY may`, role)
}

// A right that somebody gave by hand is taken, one that somebody took is given back, and PUBLIC has none.
func TestGrantRolesMakesRightWhatSomebodyChanged(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		makeGroups(t, db, groups[set]...)
		up(t, set, db)
		before := acls(t, db)
		for _, change := range []string{
			`GRANT DELETE, TRUNCATE ON TABLE TO GROUP`, `GRANT UPDATE (id) ON TABLE TO GROUP`,
			`REVOKE INSERT ON TABLE FROM GROUP`, `GRANT SELECT ON TABLE TO PUBLIC`,
			`GRANT CREATE ON SCHEMA public TO GROUP`,
			`REVOKE USAGE ON SCHEMA public FROM GROUP`, `GRANT CREATE ON SCHEMA public TO PUBLIC`,
			`GRANT TEMPORARY ON DATABASE TABLE TO PUBLIC`, `GRANT CREATE ON DATABASE TABLE TO GROUP`,
			`REVOKE CONNECT ON DATABASE TABLE FROM GROUP`, `GRANT EXECUTE ON FUNCTION grant_roles TO PUBLIC`,
		} {
			names := strings.NewReplacer("GROUP", groups[set][1], "TABLE", string(set))
			exec(t, db, names.Replace(change))
		}
		exec(t, db, `SELECT grant_roles()`)
		if diff := cmp.Diff(before, acls(t, db)); diff != "" {
			t.Errorf("rights (-before +after):\n%s", diff)
		}
		for _, acl := range before {
			if strings.Contains(acl, " PUBLIC ") && acl != "schema public PUBLIC USAGE" {
				t.Errorf("got %q, want nothing for PUBLIC", acl)
			}
		}
	}
}

// acls is who may do what with the database and all in it, the defaults included. An owner's own rights are left out.
func acls(t *testing.T, db *pgtest.Database) []string {
	t.Helper()
	return column[string](t, db, `
		SELECT (thing || ' ' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END || ' ' ||
			privilege_type) COLLATE "C" AS acl
		FROM (
			SELECT 'table ' || relname, coalesce(relacl, acldefault('r', relowner)), relowner
			FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
			UNION ALL
			SELECT 'column ' || attrelid::regclass || '.' || attname, attacl, relowner
			FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
			WHERE relnamespace = 'public'::regnamespace AND attacl IS NOT NULL AND NOT attisdropped
			UNION ALL
			SELECT 'function ' || proname, coalesce(proacl, acldefault('f', proowner)), proowner
			FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL
			SELECT 'schema public', coalesce(nspacl, acldefault('n', nspowner)), nspowner
			FROM pg_namespace WHERE nspname = 'public'
			UNION ALL
			SELECT 'database', coalesce(datacl, acldefault('d', datdba)), datdba
			FROM pg_database WHERE datname = current_database()
		) AS things (thing, acl, owner), aclexplode(acl) AS a
		WHERE a.grantee <> owner
		ORDER BY acl`)
}

// Where there are no roles the migration changes nothing that anybody may do; where there are, its Down gives it back.
func TestRolesComeAndGo(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		steps := provider(t, set, db.URL)
		step := func(version int64) {
			t.Helper()
			var err error
			if _, err = steps.UpTo(t.Context(), version); err == nil {
				_, err = steps.DownTo(t.Context(), version)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		step(rolesAt[set] - 1)
		before := acls(t, db)
		step(rolesAt[set])
		without := slices.DeleteFunc(acls(t, db), func(acl string) bool {
			return strings.Contains(acl, "function grant_roles") || strings.Contains(acl, "function orders_by_role")
		})
		if diff := cmp.Diff(before, without); diff != "" {
			t.Errorf("rights where there are no roles (-before +after):\n%s", diff)
		}
		step(rolesAt[set] - 1)
		makeGroups(t, db, groups[set]...)
		step(rolesAt[set])
		if cmp.Equal(before, acls(t, db)) {
			t.Error("the migration gave the groups nothing")
		}
		step(rolesAt[set] - 1)
		if diff := cmp.Diff(before, acls(t, db)); diff != "" {
			t.Errorf("rights after Down (-before +after):\n%s", diff)
		}
	}
}

// What a migration has added to grant_roles its Down takes away again: what is left gives the groups what they had.
func TestFurtherRightsComeAndGo(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	further := map[migrations.Set]int64{migrations.Orders: 26, migrations.Payments: 13}
	for set, version := range further {
		db := server.Create(t, string(set))
		makeGroups(t, db, groups[set]...)
		steps := provider(t, set, db.URL)
		if _, err := steps.UpTo(t.Context(), version-1); err != nil {
			t.Fatal(err)
		}
		before, source := acls(t, db), grantRoles(t, db)
		if _, err := steps.UpTo(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		if cmp.Equal(before, acls(t, db)) {
			t.Errorf("migration %d gave the groups nothing", version)
		}
		if _, err := steps.DownTo(t.Context(), version-1); err != nil {
			t.Fatal(err)
		}
		exec(t, db, `SELECT grant_roles()`)
		if diff := cmp.Diff(before, acls(t, db)); diff != "" {
			t.Errorf("rights after Down (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(source, grantRoles(t, db)); diff != "" {
			t.Errorf("grant_roles after Down (-before +after):\n%s", diff)
		}
	}
}

func grantRoles(t *testing.T, db *pgtest.Database) []string {
	t.Helper()
	return column[string](t, db, `SELECT pg_get_functiondef('grant_roles'::regproc)`)
}

func provider(t *testing.T, set migrations.Set, url string) *goose.Provider {
	t.Helper()
	conn, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, conn, os.DirFS(string(set)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The tables may be in another schema, which the URL names.
func TestRolesInAnotherSchema(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		exec(t, db, `CREATE SCHEMA elsewhere`)
		exec(t, db, fmt.Sprintf(`CREATE TABLE %s (lure integer)`, set)) // in public
		makeGroups(t, db, groups[set]...)
		if _, err := set.Up(t.Context(), db.URL+"&search_path=elsewhere,public", nil); err != nil {
			t.Fatal(err)
		}
		exec(t, db, `SELECT elsewhere.grant_roles()`) // with a search_path that is not that of the migrations
		reader := groups[set][len(groups[set])-1]
		for table, want := range map[string]bool{"elsewhere." + string(set): true, "public." + string(set): false} {
			if got := may(t, db, `has_table_privilege($1, $2, 'SELECT')`, reader, table); got != want {
				t.Errorf("%s may read %s: got %v, want %v", reader, table, got, want)
			}
		}
	}
}

// Where some of the groups are missing, the others get what is theirs, and those are named.
func TestARoleThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		up(t, set, db)
		for i, group := range groups[set] {
			makeGroups(t, db, group)
			var granted, missing []string
			err := db.Pool.QueryRow(t.Context(), `SELECT granted, missing FROM grant_roles()`).Scan(&granted, &missing)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(granted, groups[set][:i+1]) || !slices.Equal(missing, groups[set][i+1:]) {
				t.Errorf("with %v: got %v granted and %v missing", groups[set][:i+1], granted, missing)
			}
		}
	}
}
