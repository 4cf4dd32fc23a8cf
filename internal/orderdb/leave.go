package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// change is a status to be left for another.
type change struct {
	id     string
	from   order.Status
	to     order.Status
	reason order.CancelReason // empty keeps what is there
	at     time.Time          // when it was left, by the database's clock; leave fills it in

	// What is told of it: see tell.
	cause       order.Event
	who         string
	traceparent *string
}

// leave is the compare-and-set by which every order leaves a status: the WHERE on the old status decides, and the count
// must come out. The caller has the rows locked, so a count that does not come out is a fault of the program.
//
// = ANY(ARRAY[id]) says what = would, but that no plan can turn the lookup around and read all orders.
func leave(ctx context.Context, tx pgx.Tx, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	var (
		ids     = make([]string, len(changes))
		froms   = make([]string, len(changes))
		tos     = make([]string, len(changes))
		reasons = make([]*string, len(changes))
	)
	for i, c := range changes {
		ids[i], froms[i], tos[i] = c.id, string(c.from), string(c.to)
		if c.reason != "" {
			reason := string(c.reason)
			reasons[i] = &reason
		}
	}
	rows, err := tx.Query(ctx, `
		UPDATE orders
		SET status = c.to_status,
			cancel_reason = coalesce(c.reason, orders.cancel_reason),
			updated_at = clock_timestamp()
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS c (id, from_status, to_status, reason)
		WHERE orders.id = ANY(ARRAY[c.id]) AND orders.status = c.from_status
		RETURNING orders.id, orders.updated_at`,
		ids, froms, tos, reasons)
	if err != nil {
		return fmt.Errorf("leave a status: %w", err)
	}
	var id string
	var at time.Time
	left := make(map[string]time.Time, len(changes))
	tag, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		left[id] = at
		return nil
	})
	if err != nil {
		return fmt.Errorf("leave a status: %w", err)
	}
	if got := tag.RowsAffected(); got != int64(len(changes)) {
		return fmt.Errorf("leave a status: got %d rows, want %d", got, len(changes))
	}
	for i := range changes {
		changes[i].at = left[changes[i].id]
	}
	return tell(ctx, tx, changes)
}

// voidOf makes the compensating command of an order, in the trace of what made it necessary, if that has one. It never
// expires: compensation is never abandoned.
func voidOf(encode Encoder, o order.Order, traceparent *string) (outbox.New, error) {
	payload, err := encode(order.Void, o)
	if err != nil {
		return outbox.New{}, err
	}
	void := outbox.New{Key: o.ID, Kind: string(order.Void), Payload: payload}
	if traceparent != nil {
		void.Traceparent = *traceparent
	}
	return void, nil
}
