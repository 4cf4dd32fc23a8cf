// Package invariant reads both databases and says whether they agree, for the demo, the tests and the experiments.
//
// Its promise: each invariant that package rules says it checks is a query here, under the name it has there
// (doc/rules.md); a running system raises no false alarm, because the side whose fact is stable is read first; and
// memory is bounded by a window of rows, however many orders there are. It only reads.
//
// Package reconcile judges the same truth, and that is on purpose. This judge is the laboratory's: it may know that
// nothing is under way any more and what the daemons were told, it asks whether a rule holds at all, and one violation
// fails an experiment. The other works in production beside a system that goes on, says which order is wrong and who
// mends it, and puts commands back to work. They share no query, so that a mistake in one of them hides no damage from
// both; a test of reconcile walks every state that one key can be in and holds the one against the other
// (doc/decisions/two-judges.md).
package invariant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/money"
	"hosho/internal/rules"
)

// Violation is a rule that is broken.
type Violation struct {
	Rule   rules.ID
	What   string // what is broken about it: "cancelled, not sealed"
	ID     string // the order's, which is the payment's, too
	Detail string // what was found
}

func (v Violation) String() string {
	return fmt.Sprintf("%s %s: %s (%s)", v.Rule, v.What, v.ID, v.Detail)
}

// Options says what may be expected.
type Options struct {
	Quiet       bool          // nothing is under way: every order must be settled
	Simulated   bool          // paymentd runs the demo's simulated card network
	MaxAttempts int           // the relays' budget for a charge; 0: not checked
	LongestWait time.Duration // the relays' longest backoff and lease together; 0: not checked
	Sends       bool          // the saga goes over a broker: each send of a command spends one attempt at most
}

// Books are what both databases come to.
type Books struct {
	Orders   map[string]int64 // orders by status
	Payments map[string]int64 // payments by status
	Outbox   int64            // commands in the outbox
	Held     map[string]int64 // money held by currency, in minor units: charges less refunds
	Owed     map[string]int64 // the totals of the COMPLETED orders by currency
}

// Report is what Check found.
type Report struct {
	Books
	ByHand     []string // orders that an operator settled; they are exempt from I3
	Violations []Violation
}

// Check reads both databases. Its error means that they could not be read, not that a rule is broken.
func Check(ctx context.Context, orders, payments *pgxpool.Pool, o Options) (Report, error) {
	c := checker{orders: orders, payments: payments, options: o}
	for _, step := range []func(context.Context) error{
		c.readAudit, c.checkOrders, c.checkPayments, c.ordersFirst, c.paymentsFirst, c.sum,
	} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("check the invariants: %w", err)
		}
	}
	return c.report, nil
}

type checker struct {
	orders, payments *pgxpool.Pool
	options          Options
	byHand           map[string]bool
	report           Report
}

func (c *checker) violated(rule rules.ID, what, id, format string, args ...any) {
	c.report.Violations = append(c.report.Violations, Violation{rule, what, id, fmt.Sprintf(format, args...)})
}

// readAudit learns which orders were settled by hand.
func (c *checker) readAudit(ctx context.Context) error {
	rows, _ := c.orders.Query(ctx, `SELECT order_id::text FROM audit WHERE action = 'SETTLE' ORDER BY order_id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	c.report.ByHand = ids
	c.byHand = make(map[string]bool, len(ids))
	for _, id := range ids {
		c.byHand[id] = true
	}
	return err
}

// sum adds up, and compares the money: what is held must be what the completed orders cost.
func (c *checker) sum(ctx context.Context) (err error) {
	if c.report.Books, err = Sum(ctx, c.orders, c.payments); err != nil {
		return err
	}
	if c.options.Quiet && !maps.Equal(c.report.Owed, c.report.Held) {
		c.violated(rules.I7, "money held is not what the completed orders cost", "all orders", "held: %s, owed: %s",
			money.Sums(c.report.Held), money.Sums(c.report.Owed))
	}
	return nil
}

// Sum adds up what is in both databases, and judges nothing.
func Sum(ctx context.Context, orders, payments *pgxpool.Pool) (b Books, err error) {
	if b.Orders, err = counts(ctx, orders, `SELECT status, count(*) FROM orders GROUP BY status`); err != nil {
		return Books{}, err
	}
	if b.Payments, err = counts(ctx, payments, `SELECT status, count(*) FROM payments GROUP BY status`); err != nil {
		return Books{}, err
	}
	if err := orders.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&b.Outbox); err != nil {
		return Books{}, err
	}
	b.Owed, err = counts(ctx, orders, `
		SELECT currency, sum(amount_minor)::bigint
		FROM orders
		WHERE status = 'COMPLETED'
		GROUP BY currency`)
	if err != nil {
		return Books{}, err
	}
	b.Held, err = counts(ctx, payments, `
		SELECT currency, sum(CASE kind WHEN 'CHARGE' THEN amount_minor ELSE -amount_minor END)::bigint AS net
		FROM ledger
		GROUP BY currency
		HAVING sum(CASE kind WHEN 'CHARGE' THEN amount_minor ELSE -amount_minor END) <> 0`)
	return b, err
}

func counts(ctx context.Context, pool *pgxpool.Pool, query string) (map[string]int64, error) {
	rows, _ := pool.Query(ctx, query) // CollectRows returns the error
	type entry struct {
		Name string
		N    int64
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	found := map[string]int64{}
	for _, e := range entries {
		found[e.Name] = e.N
	}
	return found, err
}

// Line returns a map of counts as one line, in alphabetic order.
func Line(counts map[string]int64) string {
	text := ""
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			text += "  "
		}
		text += fmt.Sprintf("%s %d", name, counts[name])
	}
	if text == "" {
		return "none"
	}
	return text
}
