package reconcile

import (
	"context"
	"errors"
	"fmt"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// repair puts an order back to work where the saga has a safe step for it, and says what it did, or why not and who
// must. The step is chosen again under the order's lock: a relay may have settled it since.
func (s *sweep) repair(ctx context.Context, f Finding, c Case) (string, error) {
	if !drivable(f, c) {
		return refusal(f, c), nil
	}
	done, err := s.repairs.Redrive(ctx, f.OrderID)
	if errors.Is(err, orderdb.ErrNotFound) {
		return "nothing: the order is not there any more", nil
	}
	if err != nil {
		return "", err
	}
	kind := string(done.Command)
	switch done.Did {
	case orderdb.PutBack:
		s.summary.PutBack++
		return "put its " + kind + " back: the relay goes on with it", nil
	case orderdb.MadeDue:
		s.summary.MadeDue++
		return "made its " + kind + " due: the relay delivers it next", nil
	case orderdb.WasDue:
		return "nothing: its " + kind + " is due already; is a relay running?", nil
	case orderdb.Held:
		return "nothing: a relay is at its " + kind, nil
	case orderdb.Parked:
		return fmt.Sprintf("nothing: its %s is parked; an operator decides: sagactl retry %s, or sagactl settle %s",
			kind, f.OrderID, f.OrderID), nil
	default:
		return fmt.Sprintf("nothing: it is %s by now", done.Order.Status), nil
	}
}

// drivable reports whether a delivery of the order's command can mend the finding.
func drivable(f Finding, c Case) bool {
	switch f.Class {
	case Stranded, PaidNotCompleted:
		return true
	case Stuck:
		return c.Order != nil && !c.Order.Status.Settled()
	case RefundMissing:
		return c.Order.Status == order.Cancelling && c.Payment.Status == payment.Charged
	}
	return false
}

// refusal says why there is no safe step, and who must act.
func refusal(f Finding, c Case) string {
	switch f.Class {
	case SettledByOperator, SealedWithoutOrder:
		return "nothing to do"
	case CancelledButHeld:
		return "none: no step of the saga leaves CANCELLED; an operator must void the payment"
	case CompletedNotHeld:
		return "none: no step of the saga charges a COMPLETED order; an operator must cancel it or collect the money"
	case PaymentWithoutOrder:
		return "none: no order goes with it; an operator must find out whose it is"
	case RefundMissing, LedgerWrong:
		if f.Class == RefundMissing && f.Order == order.Cancelled && f.Payment != payment.Refunded {
			return "none: no step of the saga leaves CANCELLED; an operator must find out what became of the money"
		}
		return "none: the ledger is never edited; accounting must correct it"
	}
	if c.Order == nil {
		return "none: nothing can settle it; an operator must find out where its order is"
	}
	if c.Order.Status == order.Completed && c.Void != nil {
		return "none: delivering it would refund a COMPLETED order; an operator must decide"
	}
	return "nothing: a relay drops the command when it is due, or at its deadline"
}

// wake tells the relays that something is due. It is a hint: they poll as well.
func (s *sweep) wake(ctx context.Context) error {
	if s.summary.PutBack+s.summary.MadeDue == s.woken {
		return nil
	}
	s.woken = s.summary.PutBack + s.summary.MadeDue
	return pg.Exec(ctx, s.orders, `SELECT pg_notify($1, '')`, outbox.Channel)
}
