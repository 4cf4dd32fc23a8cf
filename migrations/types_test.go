package migrations_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
	"hosho/migrations"
)

// beforeTypes is the last migration by which the forms were CHECKs of the tables.
var beforeTypes = map[migrations.Set]string{migrations.Orders: "00020", migrations.Payments: "00008"}

// Columns are given types with rows in them. Where these are, and the entries of the indexes, does not change: nothing
// is written anew, however many there are.
func TestTypesLeaveRowsAndIndexesWhereTheyAre(t *testing.T) {
	t.Parallel()
	const files = `
		SELECT format('%s %s', relname, pg_relation_filenode(oid))
		FROM pg_class
		WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
		ORDER BY relname`
	for set, last := range beforeTypes {
		db := pgtest.Empty(t)
		migrateTo(t, db, set, last)
		if set == migrations.Orders {
			refused(t, anOrder().insert(t.Context(), db.Pool, "orders"), "")
			refused(t, aCommand().insert(t.Context(), db.Pool, "outbox"), "")
		} else {
			refused(t, aPayment("CHARGED").insert(t.Context(), db.Pool, "payments"), "")
		}
		before := column[string](t, db, files)
		up(t, set, db)
		after := column[string](t, db, files) // and the indexes that came later
		after = slices.DeleteFunc(after, func(file string) bool { return !slices.Contains(before, file) })
		if diff := cmp.Diff(before, after); diff != "" || len(before) == 0 {
			t.Errorf("%s: files (-before +after):\n%s", set, diff)
		}
	}
}

// Where there are many rows, writers are not held up while they are read again: the forms stay NOT VALID, and refuse
// what is written as ever. A page holds one of these rows.
func TestTypesOfManyRowsAreNotReadAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	migrateTo(t, db, migrations.Orders, beforeTypes[migrations.Orders])
	exec(t, db, `
		ALTER TABLE orders SET (fillfactor = 10);
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'alice', jsonb_build_array(repeat('tea', 400)), 900, 'JPY', now()
		FROM generate_series(1, 8300)`)
	exec(t, db, `ALTER TABLE orders RESET (fillfactor)`)
	up(t, migrations.Orders, db)
	invalid := column[string](t, db, `
		SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY conname COLLATE "C"`)
	want := []string{
		"orders_amount_range", "orders_cancel_reason_known", "orders_currency_form", "orders_customer_id_form",
		"orders_request_id_form", "orders_status_known",
	}
	if diff := cmp.Diff(want, invalid); diff != "" {
		t.Errorf("not valid (-want +got):\n%s", diff)
	}
	refused(t, anOrder().with(row{"currency": "yen"}).insert(t.Context(), db.Pool, "orders"), "orders_currency_form")
	exec(t, db, `ALTER DOMAIN orders_currency VALIDATE CONSTRAINT orders_currency_form`)
}

// A program of before places an order: it names no types, so that its parameters take on those of the columns. A batch
// of today names text, and is refused by the same names.
func TestProgramsOfBeforeWriteTypedColumns(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	request, items := "request-1", []map[string]any{{"name": "tea", "quantity": 2, "unit_price": 450}}
	place := func(customer string, amount int64) error {
		_, err := db.Pool.Exec(t.Context(), `
			INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)
			ON CONFLICT (customer_id, request_id) DO NOTHING`,
			uuid.New(), customer, &request, []byte{1}, items, amount, "JPY", "15m")
		return err
	}
	refused(t, place("alice", 900), "")
	refused(t, place("two words", 900), "orders_customer_id_form")
	refused(t, place("bob", 0), "orders_amount_range")

	rows, err := db.Pool.Query(t.Context(), `
		SELECT request_id, amount_minor, status, cancel_reason FROM orders WHERE customer_id = $1 AND status = ANY($2)`,
		"alice", []string{"PENDING"})
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		Request string
		Amount  int64
		Status  string
		Reason  *string
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[found])
	if diff := cmp.Diff(found{request, 900, "PENDING", nil}, got); err != nil || diff != "" {
		t.Errorf("error %v, order (-want +got):\n%s", err, diff)
	}
}

// The indexes serve text: neither a parameter nor an array of them is compared with what the type makes of a column.
func TestIndexesOfTypedColumnsServeText(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	exec(t, db, `SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;
		PREPARE one (text, text) AS SELECT FROM orders WHERE customer_id = $1 AND request_id = $2;
		PREPARE several (text[]) AS SELECT FROM orders WHERE customer_id = ANY($1)`)
	for explain, index := range map[string]string{
		`EXPLAIN EXECUTE one ('a', 'b')`:    "Index Cond: ((customer_id)::text = $1)",
		`EXPLAIN EXECUTE several ('{a,b}')`: "Index Cond: ((customer_id)::text = ANY ($1))",
	} {
		if plan := strings.Join(column[string](t, db, explain), "\n"); !strings.Contains(plan, index) {
			t.Errorf("%s: got\n%s\nwant %s", explain, plan, index)
		}
	}
}
