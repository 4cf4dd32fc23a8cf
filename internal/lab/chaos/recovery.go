package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/wait"
)

// poll is how often the experiment looks whether something has come true.
const poll = 25 * time.Millisecond

// recover waits until the orders that were open when everything was healed are settled, and takes the times. Orders of
// 9999 and 9997 are left out: they are tried until their attempts are spent. So are those that their customers
// cancelled.
func (r *run) recover(ctx context.Context, e Episode, healed time.Time) error {
	if err := r.checkDaemons(); err != nil {
		return err
	}
	r.await(ctx, healed.Add(r.Pace.Drain), func(ctx context.Context) bool {
		var open bool
		err := r.orders.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM outbox AS b JOIN orders AS o ON o.id = b.key
				WHERE o.created_at <= $1 AND o.amount_minor NOT IN (9999, 9997)
					AND o.cancel_reason IS DISTINCT FROM 'CUSTOMER')`, healed).Scan(&open)
		return err == nil && !open
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	after, err := r.measure(ctx, healed)
	if err != nil {
		return err
	}
	r.recovered(e, after)
	s := spreadOf(after.all)
	r.say("  recovered: first order settled after %s; of %d that were open p50 %s, p99 %s, max %s", ms(after.first),
		s.N, ms(s.P50), ms(s.P99), ms(s.Max))
	return nil
}

// await asks again and again until something has come true, or its time is over, and does meanwhile what an operator
// owes. It reports whether it has.
func (r *run) await(ctx context.Context, until time.Time, come func(context.Context) bool) bool {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		if r.owesRetries.Load() && r.retryParked(ctx) {
			r.owesRetries.Store(false)
		}
		if come(ctx) {
			return true
		}
		if !wait.For(ctx, poll) {
			return false
		}
	}
}

// measure reads how long it took after a moment until each of the ordinary orders that were open then was settled. What
// a customer cancelled was settled when the customer wanted it.
func (r *run) measure(ctx context.Context, since time.Time) (recovery, error) {
	var after recovery
	rows, _ := r.orders.Query(ctx, `
		SELECT extract(epoch FROM updated_at - $1)::float8
		FROM orders
		WHERE created_at <= $1 AND updated_at > $1 AND status IN ('COMPLETED', 'CANCELLED')
			AND amount_minor NOT IN (9999, 9997) AND cancel_reason IS DISTINCT FROM 'CUSTOMER'
		ORDER BY updated_at`, since) // CollectRows returns the error
	seconds, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		return after, fmt.Errorf("measure the recovery: %w", err)
	}
	for _, s := range seconds {
		after.all = append(after.all, time.Duration(s*float64(time.Second)))
	}
	return after, r.orders.QueryRow(ctx, `
		SELECT coalesce(extract(epoch FROM min(updated_at) - $1), 0)::float8 * interval '1 second'
		FROM orders -- whichever order it is
		WHERE updated_at > $1 AND status IN ('COMPLETED', 'CANCELLED')`, since).Scan(&after.first)
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }
