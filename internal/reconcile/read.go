package reconcile

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
)

// orderSide is what the orders database says of a key, in one snapshot.
type orderSide struct {
	id    string
	facts Case // without the payment
}

// wasRefunded is what the record of an order's changes says: an order that ended so had its money given back, also when
// the payment service has forgotten that since.
var wasRefunded = `EXISTS (
				SELECT FROM changes AS s
				WHERE s.order_id = o.id AND s.to_status = 'CANCELLED'
					AND s.cause = '` + order.PaymentRefunded.String() + `'
				OFFSET 0)`

// An order, its commands and the operator's decision are read in one statement: they change in one transaction. The
// OFFSET 0 keeps the lookups in the outbox lookups, whatever the statistics say of a table that is mostly empty.
var (
	orderFacts = `
		SELECT o.id::text, o.customer_id, o.amount_minor, o.currency, o.status,
			greatest(clock_timestamp() - o.updated_at, '0'), clock_timestamp() - o.deadline_at,
			EXISTS (SELECT FROM audit AS a WHERE a.order_id = o.id AND a.action = 'SETTLE' OFFSET 0),
			o.completed_at IS NOT NULL AND NOT ` + wasRefunded + `,
			c.parked, c.code, c.attempts, c.claims, v.parked, v.code, v.attempts, v.claims
		FROM (`
	orderCommands = `) AS o
		LEFT JOIN LATERAL (` + commandFacts + ` WHERE key = o.id AND kind = 'CHARGE' OFFSET 0) AS c ON true
		LEFT JOIN LATERAL (` + commandFacts + ` WHERE key = o.id AND kind = 'VOID' OFFSET 0) AS v ON true
		ORDER BY o.id`
	orderColumns = `id, customer_id, amount_minor, currency, status, updated_at, deadline_at, completed_at`
	commandFacts = `
			SELECT parked IS NOT NULL AS parked, code, attempts, claims
			FROM ` + orderdb.Outbox.View() + ` AS command`

	// A payment and its ledger change in one transaction, too. Entries of another currency do not count.
	paymentFacts = `
		SELECT p.id::text, p.customer_id, p.amount_minor, p.currency, p.status,
			greatest(clock_timestamp() - p.updated_at, '0'),
			coalesce(l.net, 0)
		FROM (`
	paymentLedger = `) AS p
		LEFT JOIN LATERAL (
			SELECT sum(CASE kind WHEN 'CHARGE' THEN amount_minor ELSE -amount_minor END)::bigint AS net
			FROM ledger
			WHERE payment_id = p.id AND currency = p.currency
			OFFSET 0
		) AS l ON true
		ORDER BY p.id`
	paymentColumns = `id, customer_id, amount_minor, currency, status, updated_at`
)

// ordersAfter returns the next orders by key, limit at most. after is nil at the beginning, which is another statement:
// one for both has a plan that reads the index from its beginning each time.
func ordersAfter(ctx context.Context, pool *pgxpool.Pool, after *string, limit int) ([]orderSide, error) {
	from, args := ``, []any{limit}
	if after != nil {
		from, args = ` WHERE id > $2::uuid`, append(args, *after)
	}
	return collectOrders(pg.Query(ctx, pool, orderFacts+`
			SELECT `+orderColumns+` FROM orders`+from+`
			ORDER BY id
			LIMIT $1`+orderCommands, args...))
}

// ordersOf returns the orders that have the keys.
func ordersOf(ctx context.Context, pool *pgxpool.Pool, ids []string) (map[string]orderSide, error) {
	orders, err := collectOrders(pg.Query(ctx, pool, orderFacts+`
			SELECT `+orderColumns+` FROM orders
			WHERE id = ANY($1::uuid[])`+orderCommands, ids))
	found := make(map[string]orderSide, len(orders))
	for _, o := range orders {
		found[o.id] = o
	}
	return found, err
}

func collectOrders(rows pgx.Rows, err error) ([]orderSide, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (orderSide, error) {
		var (
			side         orderSide
			o            Order
			charge, void commandRow
		)
		err := row.Scan(&side.id, &o.CustomerID, &o.Amount, &o.Currency, &o.Status, &o.Age, &o.Late, &o.ByHand, &o.Paid,
			&charge.parked, &charge.code, &charge.attempts, &charge.claims,
			&void.parked, &void.code, &void.attempts, &void.claims)
		side.facts = Case{Order: &o, Charge: charge.command(), Void: void.command()}
		return side, err
	})
}

// commandRow is a command's columns, NULL where there is none.
type commandRow struct {
	parked           *bool
	code             *string
	attempts, claims *int
}

// command returns nil when there was none.
func (r commandRow) command() *Command {
	if r.parked == nil {
		return nil
	}
	c := &Command{Parked: *r.parked, Attempts: *r.attempts, Claims: *r.claims}
	if r.code != nil {
		c.LastCode = *r.code
	}
	return c
}

// paymentSide is what the payments database says of a key, in one snapshot.
type paymentSide struct {
	id string
	Payment
}

// paymentsBetween returns the next payments by key up to a last one, limit at most.
func paymentsBetween(
	ctx context.Context, pool *pgxpool.Pool, after *string, upTo string, limit int,
) ([]paymentSide, error) {
	from, args := ``, []any{upTo, limit}
	if after != nil {
		from, args = ` AND id > $3::uuid`, append(args, *after)
	}
	return collectPayments(pg.Query(ctx, pool, paymentFacts+`
			SELECT `+paymentColumns+` FROM payments
			WHERE id <= $1::uuid`+from+`
			ORDER BY id
			LIMIT $2`+paymentLedger, args...))
}

// paymentsOf returns the payments that have the keys.
func paymentsOf(ctx context.Context, pool *pgxpool.Pool, ids []string) (map[string]*Payment, error) {
	payments, err := collectPayments(pg.Query(ctx, pool, paymentFacts+`
			SELECT `+paymentColumns+` FROM payments
			WHERE id = ANY($1::uuid[])`+paymentLedger, ids))
	found := make(map[string]*Payment, len(payments))
	for i := range payments {
		found[payments[i].id] = &payments[i].Payment
	}
	return found, err
}

func collectPayments(rows pgx.Rows, err error) ([]paymentSide, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p paymentSide, err error) {
		return p, row.Scan(&p.id, &p.CustomerID, &p.Amount, &p.Currency, &p.Status, &p.Age, &p.Ledger)
	})
}

// lone is a command, and whether its order exists.
type lone struct {
	ID      int64
	Key     string
	Kind    order.Command
	Ordered bool
}

// commandsAfter returns the next commands by their number, limit at most.
func commandsAfter(ctx context.Context, pool *pgxpool.Pool, after int64, limit int) ([]lone, error) {
	rows, err := pg.Query(ctx, pool, `
		SELECT b.id, b.key::text, b.kind, EXISTS (SELECT FROM orders WHERE orders.id = b.key OFFSET 0) AS ordered
		FROM (SELECT id, key, kind FROM `+orderdb.Outbox.View()+` AS command WHERE id > $1 ORDER BY id LIMIT $2) AS b
		ORDER BY b.id`, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[lone])
}
