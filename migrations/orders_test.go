package migrations_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

func TestOrdersTables(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"orders": {
			"id uuid", "customer_id orders_customer_id", "request_id orders_request_id null", "request_hash bytea null",
			"items jsonb", "amount_minor orders_amount", "currency orders_currency", "status orders_status",
			"cancel_reason orders_cancel_reason null",
			"created_at timestamp with time zone", "updated_at timestamp with time zone",
			"deadline_at timestamp with time zone", "completed_at timestamp with time zone null",
		},
		"outbox": {
			"id bigint", "key uuid", "kind text", "payload bytea", "expires_at timestamp with time zone null",
			"traceparent text null", "attempts integer", "claims integer", "answers integer",
			"ready_at timestamp with time zone", "lease_token uuid null", "parked_at timestamp with time zone null",
			"last_code text null", "created_at timestamp with time zone",
			"leased_until timestamp with time zone null", "suspect boolean null",
			"sends outbox_sends", "refused outbox_sends",
		},
		"audit": {
			"id bigint", "order_id uuid", "action text", "operator text", "reason text", "at timestamp with time zone",
			"kind text null",
		},
		"changes": {
			"order_id uuid", "id bigint", "from_status text", "to_status text", "at timestamp with time zone",
			"cause text", "who text", "trace_id text null",
		},
		"attempts": {
			"order_id uuid", "command_id bigint", "claim integer", "code text", "kind text",
			"at timestamp with time zone",
			"relay text", "rpc text null", "means text", "latency interval", "trace_id text null",
			"retry_in interval null",
		},
		"outbox_claims":     {"token uuid", "kind text", "lease interval", "until timestamp with time zone"},
		"schema_identity":   {"name text", "compatible_from bigint"},
		"database_identity": {"id uuid", "only_row boolean", "created_at timestamp with time zone"},
		"payments_database": {"id uuid", "only_row boolean", "since timestamp with time zone"},
		"payments_database_audit": {
			"id bigint", "from_id uuid null", "to_id uuid", "operator text", "reason text",
			"at timestamp with time zone",
		},
	}
	if diff := cmp.Diff(want, columns(t, pgtest.Orders(t))); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

// orderStatuses lists for each status the ones that may follow.
var orderStatuses = map[string][]string{
	"PENDING":    {"COMPLETED", "CANCELLING", "CANCELLED"},
	"COMPLETED":  {"CANCELLING"},
	"CANCELLING": {"CANCELLED"},
	"CANCELLED":  {},
}

// Every status followed by every other, written with a plain UPDATE as no program of ours does.
func TestOrderTransitions(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for from := range orderStatuses {
		for to := range orderStatuses {
			t.Run(from+" to "+to, func(t *testing.T) {
				id := newOrder(t, db)
				for _, step := range orderPath(from) {
					if err := setOrderStatus(t, db, id, step); err != nil {
						t.Fatal(err)
					}
				}
				refused(t, setOrderStatus(t, db, id, to), ifNot(allowed(orderStatuses, from, to),
					"orders_legal_transition"))
			})
		}
	}
}

// orderPath leads from PENDING to the status, over legal transitions alone.
func orderPath(status string) []string {
	return map[string][]string{
		"COMPLETED":  {"COMPLETED"},
		"CANCELLING": {"CANCELLING"},
		"CANCELLED":  {"CANCELLING", "CANCELLED"},
	}[status]
}

func setOrderStatus(t *testing.T, db *pgtest.Database, id, status string) error {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), `
		UPDATE orders
		SET status = $2::text, cancel_reason = CASE WHEN $2::text LIKE 'CANCEL%' THEN 'CUSTOMER' END
		WHERE id = $1`, id, status)
	return err
}

func TestOrderIsBornPending(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for status := range orderStatuses {
		order := anOrder().with(row{"status": status})
		if strings.HasPrefix(status, "CANCEL") {
			order["cancel_reason"] = "CUSTOMER"
		}
		refused(t, order.insert(t.Context(), db.Pool, "orders"), ifNot(status == "PENDING", "orders_born_pending"))
	}
}

func TestOrderFactsDoNotChange(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	id := newOrder(t, db)
	tests := []struct{ set, constraint string }{
		{`updated_at = clock_timestamp()`, ""},
		{`amount_minor = amount_minor`, ""},
		{`id = gen_random_uuid()`, "orders_facts_fixed"},
		{`customer_id = 'other'`, "orders_facts_fixed"},
		{`request_id = 'other'`, "orders_facts_fixed"},
		{`request_hash = '\x00'`, "orders_facts_fixed"},
		{`request_id = NULL, request_hash = NULL`, "orders_facts_fixed"},
		{`items = '[{}, {}]'`, "orders_facts_fixed"},
		{`amount_minor = amount_minor + 1`, "orders_facts_fixed"},
		{`currency = 'USD'`, "orders_facts_fixed"},
		{`created_at = created_at - interval '1 day'`, "orders_facts_fixed"},
		{`deadline_at = clock_timestamp()`, "orders_facts_fixed"},
		// Not even on the occasion of a legal transition.
		{`status = 'COMPLETED', amount_minor = 1`, "orders_facts_fixed"},
		{`completed_at = clock_timestamp()`, "orders_facts_fixed"},
		{`status = 'COMPLETED', completed_at = clock_timestamp()`, "orders_facts_fixed"},
		{`status = 'CANCELLING', cancel_reason = 'CUSTOMER'`, ""},
		{`cancel_reason = 'DEADLINE'`, "orders_facts_fixed"},
		{`status = NULL`, "NOT NULL"},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			_, err := db.Pool.Exec(t.Context(), `UPDATE orders SET `+tt.set+` WHERE id = $1`, id)
			if tt.constraint == "NOT NULL" {
				notNull(t, err)
				return
			}
			refused(t, err, tt.constraint)
		})
	}
}

// Whatever an UPDATE of orders may set, the trigger that keeps facts from changing is asked, but for what may change by
// itself.
func TestEveryFactOfAnOrderIsFixed(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	free := column[string](t, db, `
		SELECT attname
		FROM pg_attribute, pg_trigger
		WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped
			AND tgrelid = attrelid AND tgname = 'orders_facts_fixed' AND attnum <> ALL (tgattr)
		ORDER BY attname`)
	if diff := cmp.Diff([]string{"status", "updated_at"}, free); diff != "" {
		t.Errorf("columns that may change (-want +got):\n%s", diff)
	}
}

// completed is when an order was COMPLETED before; nil when it never was.
func completed(t *testing.T, db *pgtest.Database, id string) *time.Time {
	t.Helper()
	return column[*time.Time](t, db, `SELECT completed_at FROM orders WHERE id = $1`, id)[0]
}

// An order that leaves COMPLETED remembers when it came to it, whatever program has it leave: this is a plain UPDATE,
// which knows nothing of the column. Any other change of status leaves nothing.
func TestCompletedIsRemembered(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	never, paid := newOrder(t, db), newOrder(t, db)
	for _, step := range []string{"CANCELLING", "CANCELLED"} {
		refused(t, setOrderStatus(t, db, never, step), "")
		if at := completed(t, db, never); at != nil {
			t.Errorf("an order that never was COMPLETED, %s: got completed_at %v, want NULL", step, at)
		}
	}
	refused(t, setOrderStatus(t, db, paid, "COMPLETED"), "")
	if at := completed(t, db, paid); at != nil {
		t.Errorf("an order that is COMPLETED: got completed_at %v, want NULL", at)
	}
	want := column[time.Time](t, db, `SELECT updated_at FROM orders WHERE id = $1`, paid)[0]
	for _, step := range []string{"CANCELLING", "CANCELLED"} {
		_, err := db.Pool.Exec(t.Context(), `
			UPDATE orders SET status = $2, cancel_reason = 'CUSTOMER', updated_at = clock_timestamp() WHERE id = $1`,
			paid, step)
		refused(t, err, "")
		if at := completed(t, db, paid); at == nil || !at.Equal(want) {
			t.Errorf("an order that was COMPLETED, %s: got completed_at %v, want %v", step, at, want)
		}
		for _, forget := range []string{"NULL", "clock_timestamp()"} {
			_, err := db.Pool.Exec(t.Context(), `UPDATE orders SET completed_at = `+forget+` WHERE id = $1`, paid)
			refused(t, err, "orders_facts_fixed")
		}
	}
	born := anOrder().with(row{"completed_at": time.Now()})
	refused(t, born.insert(t.Context(), db.Pool, "orders"), "orders_born_unpaid")
}

// Neither the mark nor an index on it makes a change of status dearer.
func TestOrdersChangeTheirStatusOnTheirPage(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	id := newOrder(t, db)
	const steps = 3
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		for _, step := range []string{"COMPLETED", "CANCELLING", "CANCELLED"} {
			_, err := tx.Exec(t.Context(), `
				UPDATE orders
				SET status = $2::text, cancel_reason = CASE WHEN $2::text LIKE 'CANCEL%' THEN 'CUSTOMER' END
				WHERE id = $1`, id, step)
			if err != nil {
				return err
			}
		}
		var hot int
		err := tx.QueryRow(t.Context(), `SELECT pg_stat_get_xact_tuples_hot_updated('orders'::regclass)`).Scan(&hot)
		if hot != steps {
			t.Errorf("got %d of %d updates on the order's own page (HOT)", hot, steps)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A relay settles its orders by the hundred, in one transaction: no version that it replaces makes room for another.
// Every page has room for all of its orders once more, whatever they became and however large they are.
func TestABatchIsSettledOnItsPages(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	const orders = 1000
	exec(t, db, `
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'customer-' || n % 7, repeat('r', n % 60) || n, sha256(n::text::bytea),
			jsonb_build_array(jsonb_build_object('name', repeat('tea', n % 31))), n, 'JPY', 'infinity'
		FROM generate_series(1, $1::int) AS n`, orders)
	var updates, hot int
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			UPDATE orders
			SET status = CASE WHEN amount_minor % 9 = 0 THEN 'CANCELLED' ELSE 'COMPLETED' END,
				cancel_reason = CASE WHEN amount_minor % 9 = 0 THEN 'PAYMENT_DECLINED' END,
				updated_at = clock_timestamp()`)
		if err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `
			SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid)
			FROM pg_class
			WHERE oid = 'orders'::regclass`).Scan(&updates, &hot)
	})
	if err != nil {
		t.Fatal(err)
	}
	if updates != orders || hot != updates {
		t.Errorf("got %d of %d updates on the order's own page (HOT)", hot, updates)
	}
}

func TestOrderConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	tests := []struct {
		change     row
		constraint string
	}{
		{row{}, ""},
		{row{"request_id": nil, "request_hash": nil}, ""},
		{row{"request_hash": nil}, "orders_request_with_hash"},
		{row{"request_id": nil}, "orders_request_with_hash"},
		{row{"request_id": ""}, "orders_request_id_form"},
		{row{"customer_id": ""}, "orders_customer_id_form"},
		{row{"customer_id": strings.Repeat("c", 64)}, ""},
		{row{"customer_id": strings.Repeat("c", 65)}, "orders_customer_id_form"},
		{row{"customer_id": "two\nlines"}, "orders_customer_id_form"},
		{row{"customer_id": "newline\n"}, "orders_customer_id_form"},
		{row{"items": `[]`}, "orders_items_list"},
		{row{"items": `{}`}, "orders_items_list"},
		{row{"items": `null`}, "orders_items_list"},
		{row{"items": "[" + strings.Repeat("{},", 99) + "{}]"}, ""},
		{row{"items": "[" + strings.Repeat("{},", 100) + "{}]"}, "orders_items_list"},
		{row{"amount_minor": 0}, "orders_amount_range"},
		{row{"amount_minor": -1}, "orders_amount_range"},
		{row{"amount_minor": 1}, ""},
		{row{"amount_minor": 99_999_999_999}, ""},
		{row{"amount_minor": 100_000_000_000}, "orders_amount_range"},
		{row{"currency": "jpy"}, "orders_currency_form"},
		{row{"currency": "YEN "}, "orders_currency_form"},
		{row{"cancel_reason": "CUSTOMER"}, "orders_cancelled_for_a_reason"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.change), func(t *testing.T) {
			refused(t, anOrder().with(tt.change).insert(t.Context(), db.Pool, "orders"), tt.constraint)
		})
	}
}

func TestOrderStatusAndReasonAreKnown(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	tests := []struct{ set, constraint string }{
		{`status = 'CANCELLING'`, "orders_cancelled_for_a_reason"},
		{`status = 'COMPLETED', cancel_reason = 'CUSTOMER'`, "orders_cancelled_for_a_reason"},
		{`status = 'CANCELLING', cancel_reason = 'WHIM'`, "orders_cancel_reason_known"},
		{`status = 'SHIPPED'`, "orders_status_known"},
	}
	for _, reason := range []string{"PAYMENT_DECLINED", "PAYMENT_FAILED", "CUSTOMER", "DEADLINE", "OPERATOR"} {
		tests = append(tests, struct{ set, constraint string }{
			`status = 'CANCELLING', cancel_reason = '` + reason + `'`, "",
		})
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			_, err := db.Pool.Exec(t.Context(), `UPDATE orders SET `+tt.set+` WHERE id = $1`, newOrder(t, db))
			refused(t, err, tt.constraint)
		})
	}
}

func TestOneOrderPerRequest(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	first := anOrder()
	insert := func(changes row) error { return first.with(changes).insert(t.Context(), db.Pool, "orders") }
	refused(t, insert(row{}), "")
	refused(t, insert(row{}), "orders_pkey")
	refused(t, insert(row{"id": uuid.NewString()}), "orders_request_once")
	refused(t, insert(row{"id": uuid.NewString(), "customer_id": "another"}), "")
	for range 2 { // without a request_id each is a new order
		refused(t, insert(row{"id": uuid.NewString(), "request_id": nil, "request_hash": nil}), "")
	}
}

func anOrder() row {
	return row{
		"id":           uuid.NewString(),
		"customer_id":  "customer-1",
		"request_id":   uuid.NewString(),
		"request_hash": []byte{1},
		"items":        `[{"name": "tea", "quantity": 1, "unit_price": 500}]`,
		"amount_minor": 500,
		"currency":     "JPY",
		"deadline_at":  "infinity",
	}
}

func newOrder(t *testing.T, db *pgtest.Database) (id string) {
	t.Helper()
	order := anOrder()
	if err := order.insert(t.Context(), db.Pool, "orders"); err != nil {
		t.Fatal(err)
	}
	return order["id"].(string)
}
