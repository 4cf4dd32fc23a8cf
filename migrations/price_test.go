package migrations_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// What a row costs PostgreSQL, by doc/decisions/what-a-row-costs.md: the processor time of the session that inserts
// batches of rows, which Linux tells, and the WAL. Each variant changes something about the schema. They take turns,
// batch by batch, so that a busy machine is equally busy for all of a group:
//
//	go test ./migrations -run '^$' -bench Price -benchtime 600x
const priceBatch = 160

// variant is a schema that differs from today's in one thing.
type variant struct {
	name, alter string
	anonymous   bool // orders have no request_id
}

// asChecks are checks of the tables, as before 00021; counted are those of before 00011, and trimmed is another way to
// have them cheaper.
const (
	asChecks = unchecked + `;
		ALTER TABLE orders
			ADD CHECK (length(customer_id) BETWEEN 1 AND 64 AND customer_id !~ '[^A-Za-z0-9._:-]'),
			ADD CHECK (length(request_id) BETWEEN 1 AND 64 AND request_id !~ '[^A-Za-z0-9._:-]'),
			ADD CHECK (length(currency) = 3 AND currency !~ '[^A-Z]');
		ALTER TABLE outbox ADD CHECK (length(kind) BETWEEN 1 AND 32 AND kind !~ '[^A-Z]')`
	counted = unchecked + `;
		ALTER TABLE orders
			ADD CHECK (customer_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
			ADD CHECK (request_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
			ADD CHECK (currency ~ '^[A-Z]{3}$');
		ALTER TABLE outbox ADD CHECK (kind ~ '^[A-Z]{1,32}$')`
	idBytes = `'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._:-'`
	capital = `'ABCDEFGHIJKLMNOPQRSTUVWXYZ'`
	trimmed = unchecked + `;
		ALTER TABLE orders
			ADD CHECK (length(customer_id) BETWEEN 1 AND 64 AND btrim(customer_id, ` + idBytes + `) = ''),
			ADD CHECK (length(request_id) BETWEEN 1 AND 64 AND btrim(request_id, ` + idBytes + `) = ''),
			ADD CHECK (length(currency) = 3 AND btrim(currency, ` + capital + `) = '');
		ALTER TABLE outbox ADD CHECK (length(kind) BETWEEN 1 AND 32 AND btrim(kind, ` + capital + `) = '')`
	unchecked = `
		ALTER DOMAIN orders_customer_id DROP CONSTRAINT orders_customer_id_form;
		ALTER DOMAIN orders_request_id DROP CONSTRAINT orders_request_id_form;
		ALTER DOMAIN orders_currency DROP CONSTRAINT orders_currency_form;
		ALTER TABLE outbox DROP CONSTRAINT outbox_kind_form`
	partial = `
		ALTER TABLE orders DROP CONSTRAINT orders_request_once;
		CREATE UNIQUE INDEX ON orders (customer_id, request_id) WHERE request_id IS NOT NULL`
)

func BenchmarkPriceOfAnOrder(b *testing.B) {
	for name, variants := range map[string][]variant{
		"forms": {
			{"as it is", "", false},
			{"checks of the tables", asChecks, false},
			{"counted", counted, false},
			{"trimmed", trimmed, false},
			{"none", unchecked, false},
		},
		"indexes": {
			{"as it is", "", false},
			{"without orders_by_customer", `DROP INDEX orders_by_customer`, false},
			{"without request_id", "", true},
			{"without request_id, partial index", partial, true},
		},
		"the rest": {
			{"as it is", "", false},
			{"without orders_items_list", `ALTER TABLE orders DROP CONSTRAINT orders_items_list`, false},
			{"without triggers", `ALTER TABLE orders DISABLE TRIGGER USER`, false},
			{"fillfactor 100", `ALTER TABLE orders SET (fillfactor = 100)`, false},
		},
	} {
		b.Run(name, func(b *testing.B) { compare(b, pgtest.Orders, insertOrders, variants, pricedOrders) })
	}
}

func BenchmarkPriceOfAPayment(b *testing.B) {
	const countedPayments = `
		ALTER DOMAIN payments_customer_id DROP CONSTRAINT payments_customer_id_form;
		ALTER DOMAIN payments_currency DROP CONSTRAINT payments_currency_form;
		ALTER DOMAIN ledger_currency DROP CONSTRAINT ledger_currency_form;
		ALTER TABLE payments
			ADD CHECK (customer_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
			ADD CHECK (currency ~ '^[A-Z]{3}$');
		ALTER TABLE ledger ADD CHECK (currency ~ '^[A-Z]{3}$')`
	const foreignKey = `
		DROP TRIGGER ledger_payment ON ledger;
		ALTER TABLE ledger ADD CONSTRAINT ledger_payment FOREIGN KEY (payment_id) REFERENCES payments (id)`
	compare(b, pgtest.Payments, insertPayments, []variant{
		{"as it is", "", false},
		{"counted", countedPayments, false},
		{"a foreign key", foreignKey, false},
		{"entries without a payment", `DROP TRIGGER ledger_payment ON ledger`, false},
		{"without payments_by_customer", `DROP INDEX payments_by_customer`, false},
		{
			"without triggers",
			`ALTER TABLE payments DISABLE TRIGGER USER; ALTER TABLE ledger DISABLE TRIGGER USER`, false,
		},
		{"fillfactor 100", `ALTER TABLE payments SET (fillfactor = 100)`, false},
	}, func(v variant) []any {
		o := pricedOrders(v)
		return []any{o[0], o[1], o[5], o[6]}
	})
}

// The condition of ON CONFLICT finds the index that holds all orders, and the partial one.
const insertOrders = `
	WITH wanted AS MATERIALIZED (
		SELECT *
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::jsonb[], $6::bigint[], $7::text[], $8::bytea[])
			AS wanted (id, customer_id, request_id, request_hash, items, amount_minor, currency, payload)
	), placed AS (
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		SELECT id, customer_id, request_id, request_hash, items, amount_minor, currency, clock_timestamp() + '15m'
		FROM wanted
		ON CONFLICT (customer_id, request_id) WHERE request_id IS NOT NULL DO NOTHING
		RETURNING id, deadline_at
	)
	INSERT INTO outbox (key, kind, payload, expires_at, traceparent)
	SELECT id, 'CHARGE', payload, deadline_at, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
	FROM placed JOIN wanted USING (id)`

const insertPayments = `
	WITH decided AS (
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		SELECT id, customer_id, amount_minor, currency, 'CHARGED'
		FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[])
			AS asked (id, customer_id, amount_minor, currency)
		ORDER BY id
		ON CONFLICT (id) DO NOTHING
		RETURNING id, amount_minor, currency
	)
	INSERT INTO ledger (payment_id, kind, amount_minor, currency)
	SELECT id, 'CHARGE', amount_minor, currency FROM decided`

// pricedOrders are a batch of orders of a thousand customers, as insertOrders takes them.
func pricedOrders(v variant) []any {
	var (
		ids        = make([]string, priceBatch)
		customers  = make([]string, priceBatch)
		requests   = make([]*string, priceBatch)
		hashes     = make([][]byte, priceBatch)
		items      = make([]string, priceBatch)
		amounts    = make([]int64, priceBatch)
		currencies = make([]string, priceBatch)
		payloads   = make([][]byte, priceBatch)
	)
	for i := range priceBatch {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		random := uuid.New()
		customers[i] = fmt.Sprintf("customer-%d", int(random[0])<<2|int(random[1])&3)
		if id := random.String(); !v.anonymous {
			requests[i], hashes[i] = &id, make([]byte, 32)
		}
		items[i] = `[{"name": "tea", "quantity": 1, "unit_price": 500}]`
		amounts[i], currencies[i], payloads[i] = 500, "JPY", make([]byte, 110)
	}
	return []any{ids, customers, requests, hashes, items, amounts, currencies, payloads}
}

// compare inserts a batch into each variant in turn, and logs what they cost.
func compare(
	b *testing.B, fresh func(testing.TB) *pgtest.Database, insert string, variants []variant, batch func(variant) []any,
) {
	meters := make([]*meter, len(variants))
	for i, v := range variants {
		meters[i] = newMeter(b, fresh(b), v, insert)
	}
	for b.Loop() {
		for _, m := range meters {
			m.insert(batch(m.variant))
		}
	}
	for _, m := range meters {
		rows := float64(b.N * priceBatch)
		spent := m.spent() - m.idle
		b.Logf("%-34s %5.1f us %5.0f B WAL a row", m.name, float64(spent.Microseconds())/rows, float64(m.wal)/rows)
	}
}

// meter is a variant's database, and the session that inserts into it.
type meter struct {
	variant
	b    *testing.B
	db   *pgtest.Database
	conn *pgx.Conn
	idle time.Duration // the session's processor time before the first batch
	wal  int64         // bytes that the batches wrote
}

func newMeter(b *testing.B, db *pgtest.Database, v variant, insert string) *meter {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), db.URL)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(context.WithoutCancel(b.Context())) })
	// As the daemons do: a plan that was made when the tables were empty is right when they are full.
	alter := `SET enable_seqscan = off; ` + v.alter
	if _, err := conn.Exec(b.Context(), alter, pgx.QueryExecModeSimpleProtocol); err != nil {
		b.Fatalf("%s: %v", v.name, err)
	}
	if _, err := conn.Prepare(b.Context(), "insert", insert); err != nil {
		b.Fatalf("%s: %v", v.name, err)
	}
	m := &meter{variant: v, b: b, db: db, conn: conn}
	m.idle = m.spent()
	return m
}

func (m *meter) insert(batch []any) {
	m.wal -= m.written()
	tag, err := m.conn.Exec(m.b.Context(), "insert", batch...)
	if err != nil || tag.RowsAffected() != priceBatch {
		m.b.Fatalf("%s: got %d rows, %v; want %d", m.name, tag.RowsAffected(), err, priceBatch)
	}
	m.wal += m.written()
}

// spent is the session's processor time until now.
func (m *meter) spent() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", m.conn.PgConn().PID()))
	if err != nil {
		m.b.Fatalf("only Linux tells what a session costs: %v", err)
	}
	spent, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		m.b.Fatal(err)
	}
	return time.Duration(spent)
}

// written is the server's WAL until now. Nobody else writes while a benchmark runs.
func (m *meter) written() (wal int64) {
	err := m.db.Pool.QueryRow(m.b.Context(), `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn`).Scan(&wal)
	if err != nil {
		m.b.Fatal(err)
	}
	return wal
}
