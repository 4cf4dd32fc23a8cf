package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// What the customers do, and their cards. Where one of these is the only fault that was asked for, nothing else stands
// in the way of the others: then it is held against what the others may feel of it (rules.Steady).
var customerFaults = []fault{
	{
		name: "hanging", says: "the charge of a tenth of the orders hangs in the card network",
		targets: []string{cards},
		lasts:   between(5*time.Second, 15*time.Second), run: hanging(),
	},
	{
		name: "hanging-unanswered", says: "the charge of a tenth of the orders hangs, and paymentd waits for ever",
		targets: []string{cards, paymentd}, special: "a setting for experiments: hanging is what paymentd makes of it",
		lasts: between(5*time.Second, 15*time.Second), run: hanging("PAYMENTD_CARD_TIMEOUT=0"),
	},
	{
		name: "unread-streams", says: "thousands of streams ask paymentd and orderd, and read no answer",
		targets: []string{crowd},
		lasts:   between(5*time.Second, 12*time.Second), run: unreadStreams,
	},
	{
		name: "overload", says: "four times as many orders are asked for as orderd can accept",
		targets: []string{crowd}, special: "it measures first what orderd can do, with --clients 1",
		lasts: between(30*time.Second, 30*time.Second), run: overload,
	},
}

const (
	restartTime   = 30 * time.Second // until an order is paid again
	hangingAmount = 9997
	hangingShare  = 10                     // one in so many orders
	hangingPause  = 100 * time.Millisecond // between two looks at how many there are to be
	hangingEnd    = 30 * time.Second       // within which a hanging order is CANCELLED
	ordinaryWait  = time.Second            // 99 of 100 ordinary orders are COMPLETED within
)

// hanging places orders beside those of the customers, one in ten of all, with paymentd set as env says.
func hanging(env ...string) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, _ *rand.Rand) error {
		if len(env) == 0 {
			return s.hang(ctx)
		}
		err := s.restartPaymentd(ctx, env...)
		if err == nil {
			err = s.hang(ctx)
		}
		return errors.Join(err, s.restartPaymentd(ctx))
	}
}

// restartPaymentd returns when an order is paid again.
func (s *system) restartPaymentd(ctx context.Context, env ...string) error {
	if err := s.Paymentd.Stop(); err != nil {
		return err
	}
	if err := s.Paymentd.Start(env...); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), restartTime)
	defer cancel()
	_, err := s.payOne(bounded)
	return err
}

// stretch is a stretch of time by the orders database's clock.
type stretch struct{ from, to time.Time }

func (s *system) hang(ctx context.Context) error {
	during, err := s.placeHanging(ctx)
	if err != nil || !s.alone {
		return err
	}
	return s.judgeHanging(context.WithoutCancel(ctx), during)
}

func (s *system) placeHanging(ctx context.Context) (within stretch, err error) {
	forever := context.WithoutCancel(ctx)
	if within.from, err = s.now(forever); err != nil {
		return within, err
	}
	first, placed := s.accepted(), int64(0)
	for wait.For(ctx, hangingPause) {
		for ; ctx.Err() == nil && placed*(hangingShare-1) < s.accepted()-first; placed++ {
			_, _ = s.client.CreateOrder(ctx, &orderv1.CreateOrderRequest{ // what is not accepted does not hang
				CustomerId: load.Customer + "hanging", CurrencyCode: "JPY",
				Items: []*orderv1.Item{{Name: load.Item, Quantity: 1, UnitPrice: hangingAmount}},
			})
		}
	}
	within.to, err = s.now(forever)
	return within, err
}

// now is what the orders database's clock says. Another fault may have that down for a while.
func (s *system) now(ctx context.Context) (now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	for {
		err = s.orders.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
		if err == nil || !wait.For(ctx, hangingPause) {
			return now, err
		}
	}
}

// judgeHanging waits until each hanging order had its time, and looks what became of them, and of the ordinary ones.
func (s *system) judgeHanging(ctx context.Context, within stretch) error {
	late, err := s.stillHanging(ctx, within)
	if err != nil {
		return err
	}
	var all int
	var slowest time.Duration
	err = s.orders.QueryRow(ctx, `
		SELECT count(*), coalesce(max(updated_at - created_at) FILTER (WHERE status = 'CANCELLED'), '0')
		FROM orders
		WHERE created_at BETWEEN $1 AND $2 AND amount_minor = $3`,
		within.from, within.to, hangingAmount).Scan(&all, &slowest)
	if err != nil {
		return fmt.Errorf("look at hanging orders: %w", err)
	}
	s.tell("  hanging: %d orders, CANCELLED after %s at most", all, ms(slowest))
	if all == 0 {
		return errors.New("got no hanging orders, want some")
	}
	if late > 0 || slowest > hangingEnd {
		s.blame(Violation{rules.Steady, fmt.Sprintf("of %d hanging orders %d were open after %s; the others took %s",
			all, late, hangingEnd, ms(slowest))})
	}
	return s.judgeOrdinary(ctx, within)
}

// judgeOrdinary looks what became of the ordinary orders of a stretch that has been over for a while.
func (s *system) judgeOrdinary(ctx context.Context, within stretch) error {
	var completed, open int
	var p99 time.Duration
	err := s.orders.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE status = 'COMPLETED'), count(*) FILTER (WHERE status = 'PENDING'),
			coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY updated_at - created_at)
				FILTER (WHERE status = 'COMPLETED'), '0')
		FROM orders
		WHERE created_at BETWEEN $1 AND $2 AND amount_minor <= $3`,
		within.from, within.to, load.MostAmount).Scan(&completed, &open, &p99)
	if err != nil {
		return fmt.Errorf("look at ordinary orders: %w", err)
	}
	s.tell("  beside them %d ordinary orders were COMPLETED, within %s at p99", completed, ms(p99))
	switch {
	case completed == 0:
		return errors.New("got no ordinary orders, want some")
	case open > 0 || p99 > ordinaryWait:
		s.blame(Violation{rules.Steady, fmt.Sprintf("of %d ordinary orders %d are PENDING, the others took %s at p99, "+
			"want %s", completed+open, open, ms(p99), ordinaryWait)})
	}
	return nil
}

// stillHanging returns how many hanging orders are open when the youngest had its time.
func (s *system) stillHanging(ctx context.Context, within stretch) (open int, err error) {
	for {
		var over bool
		err := s.orders.QueryRow(ctx, `
			SELECT count(*), clock_timestamp() > $2::timestamptz + $4::interval
			FROM orders
			WHERE created_at BETWEEN $1 AND $2 AND amount_minor = $3 AND status <> 'CANCELLED'`,
			within.from, within.to, hangingAmount, hangingEnd).Scan(&open, &over)
		if err != nil || open == 0 || over {
			return open, err
		}
		wait.For(ctx, poll)
	}
}
