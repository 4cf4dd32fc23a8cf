package invariant

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/rules"
)

// rule is an invariant that one database can check in one snapshot. Its query returns the violating rows: an id, and
// what is wrong.
type rule struct {
	breaks      rules.ID
	what, query string
	args        []any
}

// checkOrders checks what the orders database knows by itself.
func (c *checker) checkOrders(ctx context.Context) error {
	all := []rule{
		{breaks: rules.I5, what: "an order and its commands disagree", query: `
			SELECT o.id::text, o.status || ' with ' || coalesce(string_agg(b.kind, ' and '), 'no command')
			FROM orders AS o
			LEFT JOIN outbox AS b ON b.key = o.id
			GROUP BY o.id
			HAVING o.status = 'PENDING' AND NOT coalesce(bool_or(b.kind = 'CHARGE'), false)
				OR o.status = 'CANCELLING' AND NOT coalesce(bool_or(b.kind = 'VOID'), false)
				OR o.status IN ('COMPLETED', 'CANCELLED') AND count(b.id) > 0`},
		{breaks: rules.I5, what: "a command without its order", query: `
			SELECT key::text, kind FROM outbox WHERE NOT EXISTS (SELECT FROM orders WHERE orders.id = outbox.key)`},
		{breaks: rules.I9, what: "two orders for one request", query: `
			SELECT min(id::text), customer_id || ' ' || request_id
			FROM orders WHERE request_id IS NOT NULL GROUP BY customer_id, request_id HAVING count(*) > 1`},
		{breaks: rules.I17, what: "out of domain", query: `
			SELECT id::text, amount_minor || ' in the minor unit of ' || currency
			FROM orders WHERE amount_minor NOT BETWEEN 1 AND 99999999999 OR currency !~ '^[A-Z]{3}$'`},
		// Both times are this database's own. A violation means that somebody went by another clock: a relay by its
		// machine's, or paymentd by that of a database which is ahead of this one.
		{breaks: rules.D1, what: "given up before its deadline", query: `
			SELECT id::text, status || ' ' || deadline_at - updated_at || ' early'
			FROM orders
			WHERE status IN ('CANCELLING', 'CANCELLED') AND cancel_reason = 'DEADLINE' AND updated_at < deadline_at`},
	}
	if c.options.LongestWait > 0 {
		all = append(all, rule{
			breaks: rules.I13, what: "a command waits too long", query: `
			SELECT key::text, kind || ' until ' || greatest(ready_at, leased_until)
			FROM outbox
			WHERE greatest(ready_at, leased_until) > clock_timestamp() + $1::interval`,
			args: []any{c.options.LongestWait},
		})
	}
	if c.options.MaxAttempts > 0 {
		all = append(all, rule{breaks: rules.I13, what: "more attempts than allowed", query: `
			SELECT key::text, attempts || ' attempts'
			FROM outbox
			WHERE kind = 'CHARGE' AND attempts >= $1`, args: []any{c.options.MaxAttempts}})
	}
	if c.options.Sends {
		all = append(all, rule{breaks: rules.I13, what: "a send spent more than one attempt", query: `
			SELECT key::text, kind || ': ' || attempts || ' attempts, sent ' || claims + sends || ' times'
			FROM outbox
			WHERE attempts > claims + sends`})
	}
	if c.options.Sends && c.options.MaxAttempts > 0 {
		all = append(all, rule{
			breaks: rules.I13, what: "given up before its attempts were spent", query: `
			SELECT o.id::text, 'after ' || count(DISTINCT claim) || ' sends that came to nothing'
			FROM orders AS o
			JOIN attempts AS a ON a.order_id = o.id AND a.kind = 'CHARGE'
			WHERE o.cancel_reason = 'PAYMENT_FAILED'
			GROUP BY o.id
			HAVING bool_and(means = 'AMBIGUOUS') AND count(DISTINCT claim) < $1`,
			args: []any{c.options.MaxAttempts},
		})
	}
	if c.options.Quiet {
		all = append(all, rule{breaks: rules.I14, what: "not settled", query: `
			SELECT id::text, status FROM orders WHERE status IN ('PENDING', 'CANCELLING')`})
	}
	return c.apply(ctx, c.orders, all)
}

// checkPayments checks what the payments database knows by itself.
func (c *checker) checkPayments(ctx context.Context) error {
	return c.apply(ctx, c.payments, []rule{
		{breaks: rules.I1, what: "charged or refunded twice", query: `
			SELECT payment_id::text, count(*) || ' x ' || kind
			FROM ledger
			GROUP BY payment_id, kind
			HAVING count(*) > 1`},
		{breaks: rules.I1, what: "refunded without its charge", query: `
			SELECT r.payment_id::text, r.amount_minor || ' in the minor unit of ' || r.currency
			FROM ledger AS r
			WHERE r.kind = 'REFUND' AND NOT EXISTS (
				SELECT FROM ledger AS c
				WHERE c.payment_id = r.payment_id AND c.kind = 'CHARGE'
					AND c.amount_minor = r.amount_minor AND c.currency = r.currency)`},
		{breaks: rules.I7, what: "ledger and payment disagree", query: `
			SELECT p.id::text, p.status || ' ' || p.amount_minor || ' in the minor unit, ledger ' || coalesce(l.net, 0)
			FROM payments AS p
			LEFT JOIN (
				SELECT payment_id, sum(CASE kind WHEN 'CHARGE' THEN amount_minor ELSE -amount_minor END) AS net
				FROM ledger GROUP BY payment_id
			) AS l ON l.payment_id = p.id
			WHERE coalesce(l.net, 0) <> CASE p.status WHEN 'CHARGED' THEN p.amount_minor ELSE 0 END`},
		{breaks: rules.I7, what: "a ledger entry of no payment", query: `
			SELECT payment_id::text, kind || ' ' || amount_minor || ' in the minor unit of ' || currency
			FROM ledger
			WHERE NOT EXISTS (SELECT FROM payments WHERE id = payment_id)`},
		{breaks: rules.I17, what: "out of domain", query: `
			SELECT id::text, amount_minor || ' in the minor unit of ' || currency
			FROM payments WHERE amount_minor NOT BETWEEN 1 AND 99999999999 OR currency !~ '^[A-Z]{3}$'`},
	})
}

func (c *checker) apply(ctx context.Context, pool *pgxpool.Pool, all []rule) error {
	for _, r := range all {
		rows, _ := pool.Query(ctx, r.query, r.args...) // ForEachRow returns the error
		var id, detail string
		if _, err := pgx.ForEachRow(rows, []any{&id, &detail}, func() error {
			c.violated(r.breaks, r.what, id, "%s", detail)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
