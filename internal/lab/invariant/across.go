package invariant

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/money"
	"hosho/internal/rules"
)

// window is how many rows of the leading side are compared at a time.
const window = 5000

// bombAmount is the amount that the simulated card network never charges.
const bombAmount = 9999

// fact is what both sides know of an order and its payment.
type fact struct {
	ID         string
	CustomerID string
	Amount     int64
	Currency   string
	Status     string
	Completed  bool // of an order: it was COMPLETED before
}

func (f fact) sameMoney(g fact) bool {
	return f.CustomerID == g.CustomerID && f.Amount == g.Amount && f.Currency == g.Currency
}

func (f fact) money() string { return money.Text(f.Amount, f.Currency) }

// ordersFirst checks what a settled order says about its payment. Orders are read first: a settled order had its
// payment before.
func (c *checker) ordersFirst(ctx context.Context) error {
	return pages(ctx, c.orders, "orders", func(orders []fact) error {
		payments, err := byID(ctx, c.payments, "payments", orders)
		if err != nil {
			return err
		}
		var completed []fact // whose payment is not CHARGED any more: cancelled since it was read?
		for _, o := range orders {
			p, paid := payments[o.ID]
			c.sealed(o, p, paid)
			if o.Status == "COMPLETED" && (p.Status != "CHARGED" || !o.sameMoney(p)) {
				completed = append(completed, o)
			}
		}
		return c.stillCompleted(ctx, completed, payments)
	})
}

// sealed checks what holds from the moment on at which it is read.
func (c *checker) sealed(o, p fact, paid bool) {
	settled := o.Status == "COMPLETED" || o.Status == "CANCELLED"
	if settled && !paid && !c.byHand[o.ID] {
		c.violated(rules.I16, "settled, and its key is not stored", o.ID, "%s, no payment", o.Status)
	}
	if o.Status == "CANCELLED" && !c.byHand[o.ID] && p.Status != "DECLINED" && p.Status != "VOIDED" &&
		p.Status != "REFUNDED" {
		c.violated(rules.I3, "cancelled, not sealed", o.ID, "payment %s", named(p.Status))
	}
	if o.Status == "CANCELLED" && o.Completed && !c.byHand[o.ID] && p.Status != "REFUNDED" {
		c.violated(rules.I25, "paid once, not refunded", o.ID, "payment %s", named(p.Status))
	}
	if c.options.Simulated && o.Amount == bombAmount &&
		(o.Status == "COMPLETED" || p.Status == "CHARGED" || p.Status == "REFUNDED") {
		c.violated(rules.I12, "the 9999 order was charged", o.ID, "%s, payment %s", o.Status, named(p.Status))
	}
}

// stillCompleted checks I2 for orders that looked wrong. One that was cancelled meanwhile may be refunded already.
func (c *checker) stillCompleted(ctx context.Context, suspects []fact, payments map[string]fact) error {
	if len(suspects) == 0 {
		return nil
	}
	now, err := byID(ctx, c.orders, "orders", suspects)
	if err != nil {
		return err
	}
	for _, o := range suspects {
		p := payments[o.ID]
		if o.sameMoney(p) && p.Status == "REFUNDED" && now[o.ID].Status != "COMPLETED" {
			continue
		}
		c.violated(rules.I2, "completed, not paid", o.ID, "payment %s", named(p.Status))
	}
	return nil
}

// paymentsFirst checks that every payment has its order. Payments are read first: an order was there before its
// payment.
func (c *checker) paymentsFirst(ctx context.Context) error {
	return pages(ctx, c.payments, "payments", func(payments []fact) error {
		orders, err := byID(ctx, c.orders, "orders", payments)
		if err != nil {
			return err
		}
		for _, p := range payments {
			o, ordered := orders[p.ID]
			switch {
			case !ordered:
				c.violated(rules.I4, "payment without its order", p.ID, "%s %s", p.Status, p.money())
			case !c.byHand[p.ID] && !o.sameMoney(p):
				c.violated(rules.I4, "payment and order differ", p.ID, "payment %s of %s, order %s of %s",
					p.money(), p.CustomerID, o.money(), o.CustomerID)
			}
		}
		return nil
	})
}

func named(status string) string {
	if status == "" {
		return "none"
	}
	return status
}

// pages reads a table in the order of its keys, a window at a time. Rows that are added meanwhile may be left out.
func pages(ctx context.Context, pool *pgxpool.Pool, table string, see func([]fact) error) error {
	last := "00000000-0000-0000-0000-000000000000"
	for {
		rows, _ := pool.Query(ctx, nextPage(table), last, window)
		facts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[fact])
		if err != nil || len(facts) == 0 {
			return err
		}
		if err := see(facts); err != nil {
			return err
		}
		last = facts[len(facts)-1].ID
	}
}

// nextPage is read from the primary key. A bare ORDER BY id would sort by the text of the output column.
func nextPage(table string) string {
	return `
		SELECT ` + columns(table) + ` FROM ` + table + ` AS t
		WHERE t.id > $1::uuid ORDER BY t.id LIMIT $2`
}

// columns are a fact of a row that is called t.
func columns(table string) string {
	completed := "false"
	if table == "orders" {
		completed = "t.completed_at IS NOT NULL"
	}
	return `t.id::text, t.customer_id, t.amount_minor, t.currency, t.status, ` + completed
}

// byID reads the rows of a table that have the ids of others.
func byID(ctx context.Context, pool *pgxpool.Pool, table string, others []fact) (map[string]fact, error) {
	ids := make([]string, len(others))
	for i, o := range others {
		ids[i] = o.ID
	}
	rows, _ := pool.Query(ctx, `
		SELECT `+columns(table)+` FROM `+table+` AS t
		WHERE t.id = ANY($1::uuid[])`, ids)
	facts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[fact])
	found := make(map[string]fact, len(facts))
	for _, f := range facts {
		found[f.ID] = f
	}
	return found, err
}
