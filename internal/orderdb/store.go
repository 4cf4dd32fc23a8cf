// Package orderdb is the order context's SQL: the orders, and the commands that they put into the outbox.
//
// Its promise: an order and its commands change in one transaction; a status is left by a compare-and-set whose row
// count decides; and what to change is asked of internal/order, never decided here. orderd, relay and the repair of
// sagactl reconcile are its only users, and nobody else writes these tables. It is how rules 2, 8 and 9 of doc/rules.md
// are kept.
package orderdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Outbox is the order context's outbox: the commands that must reach the payment service. The younger command of an
// order replaces the older one: a charge is not sent any more when its order has a void. Charges are born with claims,
// and what their orders say is read along with them.
var Outbox = outbox.Table{Name: "outbox", Supersedes: true, Standing: string(order.Charge), Along: &factsAlong}

// Channel is the NOTIFY channel that says which orders have changed.
const Channel = "orders"

// ErrNotFound says that there is no such order.
var ErrNotFound = errors.New("no such order")

// Encoder makes the payload of an order's command. The database layer stores bytes and does not look inside.
type Encoder func(order.Command, order.Order) ([]byte, error)

// Store reads and writes orders.
type Store struct {
	pool   *pgxpool.Pool
	reads  *pgxpool.Pool // what clients and operators read goes over it
	encode Encoder
	of     order.Customers // whose orders Get, Cancel and List know of

	repeats *pg.Repeats
	metrics *Metrics // nil: nobody counts
}

// heard runs a statement that tells others what it does, and once more without telling where that is what it failed by:
// a wake-up is a hint, and no order depends on it.
func heard(run func(tell bool) error) error {
	err := run(true)
	if pg.Unheard(err) {
		err = run(false)
	}
	return err
}

// New makes a Store on the orders database.
func New(pool *pgxpool.Pool, encode Encoder) *Store {
	return &Store{pool: pool, reads: pool, encode: encode, of: order.Everybody, repeats: &pg.Repeats{}}
}

// NewOver makes a Store whose writes and reads have pools of their own.
func NewOver(pools *pg.Pools, encode Encoder) *Store {
	return &Store{
		pool: pools.Writes, reads: pools.Reads, encode: encode, of: order.Everybody, repeats: &pg.Repeats{},
	}
}

// Of returns a Store to whose Get, Cancel and List there are no orders but those of some customers.
func (s *Store) Of(customers order.Customers) *Store {
	theirs := *s
	theirs.of = customers
	return &theirs
}

// theirs is the condition of a row of orders that its customer is among those that paramsOf returns, which are the
// parameters from a number on.
func theirs(from int) string {
	return fmt.Sprintf(`($%d OR customer_id = ANY($%d) OR customer_id ^@ ANY($%d))`, from, from+1, from+2)
}

func paramsOf(c order.Customers) []any {
	return []any{c.All, append([]string{}, c.Exact...), append([]string{}, c.Prefixes...)} // none is not NULL
}

// row is a row of orders, as orderColumns lists it.
type row struct {
	ID           string
	CustomerID   string
	Items        []order.Item
	AmountMinor  int64
	Currency     string
	Status       order.Status
	CancelReason *order.CancelReason
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DeadlineAt   time.Time
	CompletedAt  *time.Time
}

const orderColumns = `id, customer_id, items, amount_minor, currency, status, cancel_reason,
	created_at, updated_at, deadline_at, completed_at`

func (r row) order() order.Order {
	o := order.Order{
		ID: r.ID, CustomerID: r.CustomerID, Items: r.Items, AmountMinor: r.AmountMinor, Currency: r.Currency,
		Status: r.Status, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DeadlineAt: r.DeadlineAt,
	}
	if r.CancelReason != nil {
		o.CancelReason = *r.CancelReason
	}
	if r.CompletedAt != nil {
		o.CompletedAt = *r.CompletedAt
	}
	return o
}

func collect(rows pgx.Rows, err error) ([]order.Order, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (order.Order, error) {
		got, err := pgx.RowToStructByName[row](r)
		return got.order(), err
	})
}

func collectOne(rows pgx.Rows, err error) (order.Order, error) {
	if err != nil {
		return order.Order{}, err
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[row])
	if errors.Is(err, pgx.ErrNoRows) {
		return order.Order{}, ErrNotFound
	}
	return got.order(), err
}

// Get returns an order as it is now, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (order.Order, error) {
	o, err := collectOne(pg.Query(ctx, s.reads, `
		SELECT `+orderColumns+` FROM orders WHERE id = $1 AND `+theirs(2), append([]any{id}, paramsOf(s.of)...)...))
	if err != nil {
		return order.Order{}, fmt.Errorf("get order %s: %w", id, err)
	}
	return o, nil
}
