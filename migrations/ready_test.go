package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"

	"hosho/internal/orderdb"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/migrations"
)

// wantUnfit wants an error of a kind that has these words in it.
func wantUnfit(t *testing.T, what string, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %q, want %q in it", what, err, word)
		}
	}
}

// Somebody gives a daemon the other one's database: as it is today, as it was before it said whose it is, and one of
// neither that goose has migrated. Nothing is applied there, and readiness says no.
func TestAnotherSetsDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	other := map[migrations.Set]migrations.Set{
		migrations.Orders: migrations.Payments, migrations.Payments: migrations.Orders,
	}
	for set, stranger := range other {
		db := pgtest.Empty(t)
		up(t, set, db)
		words := []string{"got the database of " + string(set), "want that of " + string(stranger), "give "}
		refuse := func(what string, words ...string) {
			before := objects(t, db)
			_, err := stranger.Up(t.Context(), db.URL, nil)
			wantUnfit(t, what+": migrate", err, migrations.ErrForeign, words...)
			wantUnfit(t, what+": ready", stranger.Check(t.Context(), db.Pool, nil), migrations.ErrForeign, words...)
			if after := objects(t, db); len(after) != len(before) {
				t.Errorf("%s: got objects %v, want %v: nothing applied", what, after, before)
			}
		}
		refuse("today's", words...)
		exec(t, db, `DROP TABLE schema_identity`)
		refuse("one of before", words...)
		exec(t, db, fmt.Sprintf(`CREATE TABLE %s ()`, stranger))
		refuse("one of both", "orders and payments at once")
		exec(t, db, `DROP TABLE orders, payments CASCADE`)
		refuse("one of neither", "something else")
	}
}

func TestTheIdentityIsOneRow(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		db := pgtest.Empty(t)
		up(t, set, db)
		another := row{"name": "another", "compatible_from": 1}
		refused(t, another.insert(t.Context(), db.Pool, "schema_identity"), "schema_identity_one_row")
		again := row{"name": string(set), "compatible_from": 1}
		refused(t, again.insert(t.Context(), db.Pool, "schema_identity"), "schema_identity_pkey")
	}
}

// A migration that takes something away says from which version on programs do without it. A program of before is not
// ready then, and says both; one that is of that version is, however new the schema.
func TestASchemaThatHasContractedWantsNewerPrograms(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		db := pgtest.Empty(t)
		applied := up(t, set, db)
		newest := applied[len(applied)-1]
		exec(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, newest+2)
		exec(t, db, `UPDATE schema_identity SET compatible_from = $1`, newest)
		check(t, set, db, nil)
		exec(t, db, `UPDATE schema_identity SET compatible_from = $1`, newest+1)
		wantUnfit(t, string(set), set.Check(t.Context(), db.Pool, nil), migrations.ErrSchema,
			fmt.Sprintf("at version %d", newest+2), fmt.Sprintf("of version %d and later", newest+1),
			fmt.Sprintf("of version %d: upgrade it", newest))
	}
}

// A customer's お茶 has no spelling in every encoding, and SQL_ASCII takes anything for text.
func TestADatabaseThatIsNotUTF8IsRefused(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"EUC_JP", "LATIN1", "SQL_ASCII"} {
		url := encoded(t, encoding)
		words := []string{"its encoding is " + encoding, "want UTF8", "CREATE DATABASE"}
		_, err := migrations.Orders.Up(t.Context(), url, nil)
		wantUnfit(t, "migrate", err, migrations.ErrUnfit, words...)
		pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		wantUnfit(t, "ready", migrations.Orders.Check(t.Context(), pool, nil), migrations.ErrUnfit, words...)
		pool.Close()
	}
}

// encoded makes a database of an encoding, and returns its URL.
func encoded(t *testing.T, encoding string) string {
	t.Helper()
	db := pgtest.Empty(t)
	address, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	name := path.Base(address.Path) + "_" + strings.ToLower(encoding)
	exec(t, db, fmt.Sprintf(`CREATE DATABASE %s ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
		name, encoding))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := db.Pool.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	address.Path = "/" + name
	return address.String()
}

// needs is what each daemon asks of its database.
var needs = []struct {
	daemon string
	set    migrations.Set
	needs  []pg.Need
	new    func(testing.TB) *pgtest.Database
}{
	{"orderd", migrations.Orders, orderdb.OrderdNeeds(), pgtest.Orders},
	{"relay", migrations.Orders, orderdb.RelayNeeds(), pgtest.Orders},
	{"paymentd", migrations.Payments, paymentdb.Needs(), pgtest.Payments},
}

// A role has exactly the rights that a daemon needs: it is ready. Each of them is taken away in its turn: it is not,
// and says which.
func TestReadinessNamesTheRightThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range needs {
		db := test.new(t)
		role := db.As(t, test.needs)
		ready := test.set.Ready(role.Pool, test.needs)
		if err := ready(t.Context()); err != nil {
			t.Errorf("%s with all its rights: %v", test.daemon, err)
		}
		for _, right := range pgtest.Rights(test.needs) {
			exec(t, db, `REVOKE `+right+` FROM `+role.Name)
			what, of, _ := strings.Cut(right, " (")
			column, table, byColumn := strings.Cut(of, ") ON ")
			words := []string{what + " on " + table + " (" + column + ")"}
			if !byColumn {
				words = []string{"DELETE on " + strings.TrimPrefix(right, "DELETE ON ")}
			}
			wantUnfit(t, test.daemon+" without "+right, ready(t.Context()), migrations.ErrUnfit, words...)
			exec(t, db, `GRANT `+right+` TO `+role.Name)
		}
		if err := ready(t.Context()); err != nil {
			t.Errorf("%s with all its rights again: %v", test.daemon, err)
		}
	}
}

// What else may be missing of a database with the right version.
func TestReadinessNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range needs {
		db := test.new(t)
		role := db.As(t, test.needs)
		table := test.needs[0].Table
		for _, broken := range []struct{ breaks, mends, word string }{
			{
				`ALTER TABLE ` + table + ` RENAME TO elsewhere`,
				`ALTER TABLE elsewhere RENAME TO ` + table, "table " + table,
			},
			{
				`ALTER TABLE ` + table + ` RENAME currency TO coin`,
				`ALTER TABLE ` + table + ` RENAME coin TO currency`, "columns of " + table + " (currency)",
			},
			{
				`ALTER TABLE ` + table + ` ENABLE ROW LEVEL SECURITY`,
				`ALTER TABLE ` + table + ` DISABLE ROW LEVEL SECURITY`, "rows of " + table,
			},
			{
				`REVOKE SELECT ON schema_identity FROM PUBLIC`,
				`GRANT SELECT ON schema_identity TO PUBLIC`, "SELECT on schema_identity",
			},
		} {
			exec(t, db, broken.breaks)
			err := test.set.Check(t.Context(), role.Pool, test.needs)
			wantUnfit(t, test.daemon+", "+broken.breaks, err, migrations.ErrUnfit, broken.word)
			exec(t, db, broken.mends)
			if err := test.set.Check(t.Context(), role.Pool, test.needs); err != nil {
				t.Errorf("%s, %s: %v", test.daemon, broken.mends, err)
			}
		}
	}
}

// The tables are there, and the sessions do not find them.
func TestReadinessTellsTheSearchPath(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL + "&search_path=elsewhere", Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	wantUnfit(t, "another search_path", migrations.Orders.Check(t.Context(), pool, nil), migrations.ErrSchema,
		"version 0", "its search_path is elsewhere", "orderd migrate")
}
