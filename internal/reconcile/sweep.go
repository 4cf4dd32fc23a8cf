package reconcile

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
)

// lastKey is the last of all keys.
const lastKey = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// sweep is one pass over the keys: from the first to the last, or over those that may have changed.
type sweep struct {
	orders, payments *pgxpool.Pool
	database         string // the identity of the payments database
	options          Options
	repairs          *orderdb.Store
	suspects         []string // keys that looked wrong at first sight, a window at most
	rows             int      // of the window
	summary          Summary
	woken            int64  // how many repairs the relays were told of
	notes            *notes // for the pass after it; nil: there is none
}

func newSweep(orders, payments *pgxpool.Pool, o Options) *sweep {
	if o.StuckAfter == 0 {
		o.StuckAfter = order.StuckAfter
	}
	if o.Window == 0 {
		o.Window = Window
	}
	return &sweep{
		orders: orders, payments: payments, options: o,
		repairs: orderdb.New(orders, command.Encode),
		summary: Summary{Findings: map[Class]int64{}},
	}
}

// whole compares all orders with all payments.
func (s *sweep) whole(ctx context.Context) (err error) {
	if s.database, err = sameSystem(ctx, s.orders, s.payments); err != nil {
		return err
	}
	if err := s.behind(ctx, nil); err != nil {
		return err
	}
	return s.loneCommands(ctx, nil)
}

// end returns what was read and found.
func (s *sweep) end(err error) (Summary, error) {
	if err != nil {
		err = fmt.Errorf("reconcile: %w", err)
	}
	s.summary.Clean = err == nil
	for class, n := range s.summary.Findings {
		s.summary.Clean = s.summary.Clean && (n == 0 || !class.Fails())
	}
	return s.summary, err
}

// behind compares window after window of all that comes after a key, nil for the first. An order that is placed behind
// the window meanwhile is left to the next run.
func (s *sweep) behind(ctx context.Context, after *string) error {
	for more := true; more; {
		orders, err := ordersAfter(ctx, s.orders, after, s.options.Window)
		if err != nil {
			return err
		}
		upTo := lastKey
		if more = len(orders) == s.options.Window; more {
			upTo = orders[len(orders)-1].id
		}
		if err := s.compare(ctx, orders, after, upTo); err != nil {
			return err
		}
		if s.options.Progress != nil {
			s.options.Progress(&s.summary)
		}
		after = &upTo
	}
	return nil
}

// compare merges the orders of a window with the payments of the same keys. Orders were read first, since what a
// settled order says of its payment was true before; what came in between looks wrong, and is read again.
func (s *sweep) compare(ctx context.Context, orders []orderSide, after *string, upTo string) error {
	s.summary.Orders += int64(len(orders))
	for more := true; more; {
		payments, err := paymentsBetween(ctx, s.payments, after, upTo, s.options.Window)
		if err != nil {
			return err
		}
		s.summary.Payments += int64(len(payments))
		s.rows = len(orders) + len(payments)
		s.holds(s.rows)
		until := upTo
		if more = len(payments) == s.options.Window; more {
			until = payments[len(payments)-1].id
		}
		if orders, err = s.merge(ctx, orders, payments, until); err != nil {
			return err
		}
		after = &until
	}
	return s.confirm(ctx)
}

// merge looks at each key up to the last one, in key order, and returns the orders behind it. Keys are compared as
// text, which sorts as the database sorts UUIDs.
func (s *sweep) merge(
	ctx context.Context, orders []orderSide, payments []paymentSide, until string,
) ([]orderSide, error) {
	for {
		var c Case
		var id string
		switch ordered, paid := len(orders) > 0 && orders[0].id <= until, len(payments) > 0; {
		case !ordered && !paid:
			return orders, nil
		case !paid || ordered && orders[0].id < payments[0].id:
			id, c = orders[0].id, orders[0].facts
			orders = orders[1:]
		case !ordered || payments[0].id < orders[0].id:
			id, c.Payment = payments[0].id, &payments[0].Payment
			payments = payments[1:]
		default:
			id, c = orders[0].id, orders[0].facts
			c.Payment = &payments[0].Payment
			orders, payments = orders[1:], payments[1:]
		}
		if err := s.look(ctx, id, c); err != nil {
			return nil, err
		}
	}
}

// look judges a case at first sight.
func (s *sweep) look(ctx context.Context, id string, c Case) error {
	if c.Order != nil && !c.Order.Status.Settled() {
		s.summary.UnderWay++
		s.notes.isUnderWay(id)
	}
	if class, _ := Classify(c, s.options.StuckAfter); class == "" {
		return nil
	}
	s.suspects = append(s.suspects, id)
	if len(s.suspects) < s.options.Window {
		return nil
	}
	return s.confirm(ctx)
}

// confirm reads the suspects again: the order, the payment, and the order once more. A status is left and never comes
// back, so an order that has the same one before and after had it while its payment was read, and what is judged is a
// state in which both were at one moment. An order that moved is read again; it can move only a few times. A payment
// that has no order is read before the order is looked for, and an order is there before its payment.
func (s *sweep) confirm(ctx context.Context) error {
	suspects := s.suspects
	s.suspects = s.suspects[:0]
	for len(suspects) > 0 {
		before, err := ordersOf(ctx, s.orders, suspects)
		if err != nil {
			return err
		}
		payments, err := paymentsOf(ctx, s.payments, suspects)
		if err != nil {
			return err
		}
		after, err := ordersOf(ctx, s.orders, suspects)
		if err != nil {
			return err
		}
		s.holds(s.rows + len(before) + len(payments) + len(after))
		var moved []string
		for _, id := range suspects {
			c := after[id].facts
			if before[id].facts.status() != c.status() {
				moved = append(moved, id)
				continue
			}
			c.Payment = payments[id]
			if err := s.judge(ctx, id, c); err != nil {
				return err
			}
		}
		suspects = moved
	}
	return s.wake(ctx)
}

// status is "" where there is no order.
func (c Case) status() order.Status {
	if c.Order == nil {
		return ""
	}
	return c.Order.Status
}

// judge reports a case that is confirmed.
func (s *sweep) judge(ctx context.Context, id string, c Case) error {
	class, why := Classify(c, s.options.StuckAfter)
	s.notes.judged(id, class)
	if class == "" {
		return nil
	}
	c.Database = s.database
	told := c
	if s.options.Nameless {
		told = c.nameless()
	}
	f := finding(id, class, why, told)
	s.summary.Findings[class]++
	if s.options.Repair {
		var err error
		if f.Repair, err = s.repair(ctx, f, c); err != nil {
			return err
		}
	}
	if s.options.Found == nil {
		return nil
	}
	return s.options.Found(f)
}

func (s *sweep) holds(rows int) { s.summary.MostRowsHeld = max(s.summary.MostRowsHeld, rows) }
