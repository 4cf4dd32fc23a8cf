package migrations_test

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/migrations"
)

// forms are the checks of what strings may look like, by the table and the column, and the regular expression that says
// the same.
var forms = []struct {
	set                   migrations.Set
	table, column, regexp string
}{
	{migrations.Orders, "orders", "customer_id", `^[A-Za-z0-9._:-]{1,64}$`},
	{migrations.Orders, "orders", "request_id", `^[A-Za-z0-9._:-]{1,64}$`},
	{migrations.Orders, "orders", "currency", `^[A-Z]{3}$`},
	{migrations.Orders, "outbox", "kind", `^[A-Z]{1,32}$`},
	{migrations.Payments, "payments", "customer_id", `^[A-Za-z0-9._:-]{1,64}$`},
	{migrations.Payments, "payments", "currency", `^[A-Z]{3}$`},
	{migrations.Payments, "ledger", "currency", `^[A-Z]{3}$`},
}

// formCheck is a check of a column or of its type, as the database has it, over a column s.
type formCheck struct{ expression, regexp string }

// formChecks are the checks that differ.
func formChecks(t *testing.T, databases map[migrations.Set]*pgtest.Database) map[formCheck]bool {
	t.Helper()
	checks := map[formCheck]bool{}
	for _, form := range forms {
		expression := column[string](t, databases[form.set], `
			SELECT replace(replace(pg_get_expr(conbin, conrelid), $2, 's'), 'VALUE', 's')
			FROM pg_constraint JOIN pg_attribute ON atttypid = contypid OR attrelid = conrelid
			WHERE attrelid = $1::text::regclass AND attname = $2::text
				AND conname = $1::text || '_' || $2::text || '_form' AND convalidated`,
			form.table, form.column)
		if len(expression) != 1 {
			t.Fatalf("got %d valid checks of %s.%s, want one", len(expression), form.table, form.column)
		}
		checks[formCheck{expression[0], form.regexp}] = true
	}
	return checks
}

// differ returns some of the strings that the check and the regular expression disagree about, out of those that a
// query returns, in a collation.
func (f formCheck) differ(t *testing.T, db *pgtest.Database, collation, strings string) []string {
	t.Helper()
	return column[string](t, db, fmt.Sprintf(`
		SELECT format('%%s characters, the first of them %%s', length(s), to_json(left(s, 4)))
		FROM (SELECT s COLLATE "%s" FROM (%s) AS of_column (s)) AS tried (s)
		WHERE (%s) IS DISTINCT FROM (s ~ '%s')
		LIMIT 5`, collation, strings, f.expression, f.regexp))
}

// every is each code point up to the last one, alone and at each place of strings of three characters. NUL and
// surrogates are no text.
func every(last int) string {
	return fmt.Sprintf(`
		SELECT unnest(ARRAY[c, c || 'AA', 'A' || c || 'A', 'AA' || c])
		FROM (SELECT chr(n) AS c FROM generate_series(1, %d) AS n WHERE n NOT BETWEEN 55296 AND 57343) AS points`, last)
}

// long are strings of 0 to 129 characters of one to four bytes, with another one in any place, and no string.
const long = `
	SELECT DISTINCT repeat(a, before) || b || repeat(a, after)
	FROM unnest(ARRAY['A', 'z', '0', '.', 'é', '🍵']) AS a,
		unnest(ARRAY['', 'B', '9', '-', E'\n', ' ', '茶', E'\x7f']) AS b,
		unnest(ARRAY[0, 1, 2, 31, 32, 63, 64]) AS before,
		unnest(ARRAY[0, 1, 2, 31, 32, 63, 64]) AS after
	UNION ALL
	SELECT NULL`

// A check that costs less refuses the same strings as the regular expression that it took the place of, whatever the
// collation of the database.
func TestFormsAreWhatTheRegularExpressionsSay(t *testing.T) {
	t.Parallel()
	databases := map[migrations.Set]*pgtest.Database{
		migrations.Orders: pgtest.Orders(t), migrations.Payments: pgtest.Payments(t),
	}
	db, last := databases[migrations.Orders], slow.Times(0x2ff, 0x10ffff)
	collations := column[string](t, db, `
		SELECT collname FROM pg_collation WHERE collname IN ('tr-x-icu', 'lt-x-icu', 'tr_TR.utf8', 'en_US.utf8')`)
	for check := range formChecks(t, databases) {
		differ := check.differ(t, db, "default", every(last)+` UNION ALL `+long)
		for _, collation := range collations {
			differ = append(differ, check.differ(t, db, collation, every(0x17f))...)
		}
		if len(differ) > 0 {
			t.Errorf("%s and %s disagree about %q", check.expression, check.regexp, differ)
		}
	}
}

// The forms of an order are checked where it is written, by its columns' types, and by no change of its status; that of
// items while it is PENDING, as it is born. No order comes to another form on any other way: not as one that is born
// with another status, and by no change, whatever the status.
func TestNoOrderComesToAnotherForm(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	wrong := map[string]struct {
		value      any
		constraint string
	}{
		"customer_id": {"two words", "orders_customer_id_form"},
		"request_id":  {"two words", "orders_request_id_form"},
		"currency":    {"yen", "orders_currency_form"},
		"items":       {`[]`, "orders_items_list"},
	}
	for status := range orderStatuses {
		id := newOrder(t, db)
		for _, step := range orderPath(status) {
			refused(t, setOrderStatus(t, db, id, step), "")
		}
		for name, w := range wrong {
			born := anOrder().with(row{name: w.value, "status": status})
			if strings.HasPrefix(status, "CANCEL") {
				born["cancel_reason"] = "CUSTOMER"
			}
			atBirth, byChange := w.constraint, w.constraint
			if name == "items" {
				if byChange = "orders_facts_fixed"; status != "PENDING" {
					atBirth = "orders_born_pending"
				}
			}
			refused(t, born.insert(t.Context(), db.Pool, "orders"), atBirth)
			_, err := db.Pool.Exec(t.Context(), `UPDATE orders SET `+name+` = $2 WHERE id = $1`, id, w.value)
			refused(t, err, byChange)
		}
	}
}

// A comparison that finds nothing would pass as well: two forms that are not the same are told apart.
func TestAWrongFormIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	const id = `^[A-Za-z0-9._:-]{1,64}$`
	for name, wrong := range map[string]string{
		"one too many":       `length(s) BETWEEN 1 AND 65 AND s !~ '[^A-Za-z0-9._:-]'`,
		"one too few":        `length(s) BETWEEN 1 AND 63 AND s !~ '[^A-Za-z0-9._:-]'`,
		"a trailing newline": `length(s) BETWEEN 1 AND 64 AND rtrim(s, E'\n') !~ '[^A-Za-z0-9._:-]'`,
		"an empty string":    `length(s) <= 64 AND s !~ '[^A-Za-z0-9._:-]'`,
		"a range too wide":   `length(s) BETWEEN 1 AND 64 AND s !~ '[^A-z0-9._:-]'`,
	} {
		check := formCheck{wrong, id}
		if differ := check.differ(t, db, "default", every(0x17f)+` UNION ALL `+long); len(differ) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

// Rows of before are read and found valid by the checks of today.
func TestRowsOfBeforePassTheCheapForms(t *testing.T) {
	t.Parallel()
	widest := strings.Repeat("A.z_0:9-", 8)
	rows := map[migrations.Set]map[string]row{
		migrations.Orders: {
			"orders": anOrder().with(row{"customer_id": widest, "request_id": widest}),
			"outbox": aCommand().with(row{"kind": strings.Repeat("Z", 32)}),
		},
		migrations.Payments: {"payments": aPayment("CHARGED").with(row{"customer_id": widest})},
	}
	for set, last := range map[migrations.Set]string{migrations.Orders: "00010", migrations.Payments: "00004"} {
		db := pgtest.Empty(t)
		migrateTo(t, db, set, last)
		for table, row := range rows[set] {
			refused(t, row.insert(t.Context(), db.Pool, table), "")
		}
		up(t, set, db)
		invalid := column[string](t, db, `SELECT conname FROM pg_constraint WHERE NOT convalidated`)
		if len(invalid) > 0 {
			t.Errorf("%s: got %v not valid, want every check to hold for every row", set, invalid)
		}
	}
}

// migrateTo applies the migrations of a set up to one of them.
func migrateTo(t *testing.T, db *pgtest.Database, set migrations.Set, last string) {
	t.Helper()
	folder := os.DirFS(string(set))
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	until := fstest.MapFS{}
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		if file[:len(last)] <= last {
			until[file] = &fstest.MapFile{Data: text}
		}
	}
	if _, err := migrations.Apply(t.Context(), db.URL, until, nil); err != nil {
		t.Fatal(err)
	}
}
