package orderdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// ErrRequestIDReused says that the customer used the request id before, for another order.
var ErrRequestIDReused = errors.New("the request id was used before with other fields")

// NewOrder is an order to be placed. Its fields have been validated.
type NewOrder struct {
	ID          string // a new UUIDv7: List takes its order for the order of time
	CustomerID  string
	RequestID   string // makes Place repeatable; empty: each call places an order
	Items       []order.Item
	AmountMinor int64 // the total of the items, in the currency's minor unit
	Currency    string
	Deadline    time.Duration // from now, by the database's clock; then a PENDING order is given up
	Traceparent string        // W3C trace context of the request; may be empty
}

// Place writes an order and its CHARGE command, both or neither. When the customer's request id was used before for
// the same fields, it returns that order as it is now, and fresh is false; for other fields, ErrRequestIDReused.
func (s *Store) Place(ctx context.Context, n NewOrder) (o order.Order, fresh bool, err error) {
	failpoint.Here(failpoint.PlaceBefore)
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		o, fresh, err = s.place(ctx, tx, n)
		return err
	})
	if err != nil {
		return order.Order{}, false, fmt.Errorf("place order %s: %w", n.ID, err)
	}
	failpoint.Here(failpoint.PlaceCommitted)
	return o, fresh, nil
}

func (s *Store) place(ctx context.Context, tx pgx.Tx, n NewOrder) (o order.Order, fresh bool, err error) {
	o, err = insert(ctx, tx, n)
	if errors.Is(err, ErrNotFound) { // ON CONFLICT DO NOTHING wrote no row
		o, err = earlier(ctx, tx, n)
		return o, false, err
	}
	if err != nil {
		return o, false, err
	}
	failpoint.Here(failpoint.PlaceBetween)
	payload, err := s.encode(order.Charge, o)
	if err != nil {
		return o, false, err
	}
	return o, true, Outbox.Append(ctx, tx, outbox.New{
		Key: o.ID, Kind: string(order.Charge), Payload: payload, ExpiresAt: o.DeadlineAt, Traceparent: n.Traceparent,
	})
}

// insert returns ErrNotFound, and writes nothing, when the customer's request id is taken: UNIQUE (customer_id,
// request_id) decides who was first. ON CONFLICT waits for a concurrent transaction that wrote the same id: if that one
// rolls back, this one writes. NULLs never conflict, so an order without a request id is always written.
func insert(ctx context.Context, tx pgx.Tx, n NewOrder) (order.Order, error) {
	requestID, requestHash := n.request()
	return collectOne(tx.Query(ctx, `
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)
		ON CONFLICT (customer_id, request_id) DO NOTHING
		RETURNING `+orderColumns,
		n.ID, n.CustomerID, requestID, requestHash, n.Items, n.AmountMinor, n.Currency, n.Deadline))
}

// earlier returns the order that the request id belongs to. It is a statement of its own, since the insert's snapshot
// may be older than the order that stood in its way; under READ COMMITTED this one's is not.
func earlier(ctx context.Context, tx pgx.Tx, n NewOrder) (order.Order, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+orderColumns+`, request_hash
		FROM orders
		WHERE customer_id = $1 AND request_id = $2`,
		n.CustomerID, n.RequestID)
	if err != nil {
		return order.Order{}, err
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		row
		RequestHash []byte
	}])
	if err != nil {
		return order.Order{}, fmt.Errorf("read the order of request %s: %w", n.RequestID, err)
	}
	if _, hash := n.request(); !bytes.Equal(got.RequestHash, hash) {
		return order.Order{}, ErrRequestIDReused
	}
	return got.order(), nil
}

// request returns the request's id and its fingerprint, both nil when there is no id: in the database absent is NULL.
func (n NewOrder) request() (id *string, hash []byte) {
	if n.RequestID == "" {
		return nil, nil
	}
	return &n.RequestID, order.Fingerprint(n.CustomerID, n.Currency, n.Items)
}
