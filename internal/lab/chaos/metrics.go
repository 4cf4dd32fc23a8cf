package chaos

import (
	"context"
	"fmt"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/lab/measured"
	"hosho/internal/rules"
)

// countTime bounds what is done to see the counts move: a few orders, one after the other.
const countTime = time.Minute

const declinedAmount = 9996 // by the simulated card network

func (s *system) measured() measured.System {
	all := measured.System{Orders: s.orders, Payments: s.payments}
	for _, p := range s.Daemons() {
		all.Daemons = append(all.Daemons, measured.Daemon{Name: p.Name, Address: p.AdminAddress})
	}
	return all
}

// wrongGauges holds what the metrics tell of the present against the tables.
func (r *run) wrongGauges(ctx context.Context) ([]Violation, error) {
	now, err := r.measured().Read(ctx)
	if err != nil {
		return nil, err
	}
	return unequal(now.Gauges()), nil
}

// checkCounts has a few orders placed, paid, declined and cancelled, and holds by how much the counts move against by
// how much the tables do. Where something is broken already, orders may never be settled.
func (r *run) checkCounts(ctx context.Context) error {
	if r.violations() > 0 {
		return nil
	}
	before, err := r.measured().Read(ctx)
	if err != nil {
		return err
	}
	if err := r.orderAFew(ctx); err != nil {
		return fmt.Errorf("orders that are to be counted: %w", err)
	}
	return r.eventuallyNone(ctx, giveBack, func(ctx context.Context) ([]Violation, error) {
		now, err := r.measured().Read(ctx)
		if err != nil {
			return nil, err
		}
		return unequal(now.Counts(before)), nil
	})
}

// orderAFew has an order paid, one declined, and one cancelled after it was paid.
func (s *system) orderAFew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	if _, err := s.payOne(ctx); err != nil {
		return err
	}
	declined, err := s.client.CreateOrder(ctx, requested(load.Customer+"one", "declined", declinedAmount))
	if err != nil {
		return err
	}
	cancelled, err := s.payOne(ctx)
	if err != nil {
		return err
	}
	if _, err := s.client.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: cancelled}); err != nil {
		return err
	}
	for _, id := range []string{declined.GetOrder().GetOrderId(), cancelled} {
		if err := s.awaitStatus(ctx, id, orderv1.Order_STATUS_CANCELLED); err != nil {
			return err
		}
	}
	return nil
}

func unequal(differences []measured.Difference) (wrong []Violation) {
	for _, d := range differences {
		wrong = append(wrong, Violation{rules.I22, d.String()})
	}
	return wrong
}
