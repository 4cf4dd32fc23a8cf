package order_test

import (
	"strings"
	"testing"

	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/rules"
)

// mutants are mistakes that systems like this one make, each a wrapper around the production functions, with the
// invariant that must notice it. A mutant that lives would mean that the model check sees less than it says.
var mutants = map[string]struct {
	kills rules.ID
	make  func(*machine)
}{
	"no idempotency key": {rules.I1, func(m *machine) {
		m.wrapPayment(func(stored payment.Status, c payment.Command, d decision) (decision, payment.Status) {
			if stored == payment.Charged && c == payment.ChargeApproved {
				d = payment.Apply(payment.None, c)
			}
			return d, d.Status
		})
	}},
	"a decline is not stored": {rules.I3, func(m *machine) {
		m.wrapPayment(func(stored payment.Status, _ payment.Command, d decision) (decision, payment.Status) {
			if d.Status == payment.Declined {
				return d, stored
			}
			return d, d.Status
		})
	}},
	"a void leaves no tombstone": {rules.I3, func(m *machine) {
		m.wrapPayment(func(stored payment.Status, _ payment.Command, d decision) (decision, payment.Status) {
			if d.Status == payment.Voided {
				return d, stored
			}
			return d, d.Status
		})
	}},
	// The relay read PENDING, and writes without looking again.
	"settle without compare-and-set": {rules.I6, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.PaymentCharged {
				t, _ = order.Apply(pending, e)
			}
			return t
		})
	}},
	// The proof of concept: a failed call means that nothing was charged.
	"an error cancels": {rules.I3, func(m *machine) {
		m.wrapOrder(func(_ order.State, e order.Event, t order.Transition) order.Transition {
			if t.Void && e != order.CustomerCancels {
				t.To, t.Fate, t.Void = cancelled, order.DropAll, false
			}
			return t
		})
	}},
	"user cancel without void": {rules.I3, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.CustomerCancels && s == pending {
				t.To, t.Fate, t.Void = cancelled, order.DropAll, false
			}
			return t
		})
	}},
	"refund without void row": {rules.I5, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			t.Void = t.Void && s != completed
			return t
		})
	}},
	"failover loses CANCELLING": {rules.I6, func(m *machine) {
		m.fault = func(s state) (state, bool) {
			lost := s.order == cancelling
			s.order, s.charge.rows, s.void.rows = pending, 1, 0
			return s, lost
		}
	}},
	"void is abandoned": {rules.I5, func(m *machine) {
		m.wrapOrder(func(_ order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.VoidUndecided {
				t.Fate = order.Drop
			}
			return t
		})
	}},
	"payment keys are pruned": {rules.I2, func(m *machine) {
		m.fault = func(s state) (state, bool) {
			stored := s.payment != payment.None
			s.payment, s.declined = payment.None, ""
			return s, stored
		}
	}},
	"order without outbox row": {rules.I5, func(m *machine) { m.born.charge.rows = 0 }},

	// One that only liveness can notice, and what those above leave untouched.
	"void is never answered": {rules.I14, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.PaymentVoided {
				t, _ = order.Apply(s, order.VoidUndecided)
			}
			return t
		})
	}},
	"giving up leaves no void": {rules.I5, func(m *machine) {
		m.wrapOrder(func(_ order.State, e order.Event, t order.Transition) order.Transition {
			t.Void = t.Void && e == order.CustomerCancels
			return t
		})
	}},
	"a late charge completes a cancelled order": {rules.I6, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.PaymentCharged && s.Status == order.Cancelled {
				t.To = completed
			}
			return t
		})
	}},
	// The order's row does not tell that it was paid, or nobody asks it.
	"COMPLETED is forgotten": {rules.I25, func(m *machine) {
		m.fault = forgetful().fault
		apply := m.order
		m.order = func(s order.State, e order.Event) (order.Transition, error) {
			s.AfterCompleted = false
			return apply(s, e)
		}
	}},
	"an early decline cancels what was paid": {rules.I25, func(m *machine) {
		m.fault = forgetful().fault
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if e == order.PaymentExpiredEarly {
				t, _ = order.Apply(pending, order.PaymentExpired)
			}
			return t
		})
	}},
	"an order that was refunded waits for ever": {rules.I14, func(m *machine) {
		m.wrapOrder(func(s order.State, e order.Event, t order.Transition) order.Transition {
			if s == afterCompleted && e == order.PaymentRefunded {
				t, _ = order.Apply(s, order.PaymentVoided)
			}
			return t
		})
	}},
	// Between the two there may be a broker, which loses what it has acknowledged.
	"a command leaves when it is acknowledged": {rules.I5, func(m *machine) {
		m.sent = func(s state, kind order.Command) state {
			s = send(s, kind)
			s.command(kind).rows = 0
			return s
		}
	}},
	"a repeat is not answered": {rules.I14, func(m *machine) {
		m.repeats = func(stored, to payment.Status) bool { return stored != to }
	}},
	"a resend is taken for a duplicate": {rules.I14, func(m *machine) {
		m.arrives = func(c command) bool { return !c.sent }
	}},
	"a void refunds what was never charged": {rules.I1, func(m *machine) {
		m.wrapPayment(func(stored payment.Status, c payment.Command, d decision) (decision, payment.Status) {
			if c == payment.Void && stored == payment.None {
				d.Entry = payment.RefundEntry
			}
			return d, d.Status
		})
	}},
}

// wrapOrder lets change have the last word about a transition that order.Apply made.
func (m *machine) wrapOrder(change func(order.State, order.Event, order.Transition) order.Transition) {
	apply := m.order
	m.order = func(s order.State, e order.Event) (order.Transition, error) {
		t, err := apply(s, e)
		return change(s, e, t), err
	}
}

type decision = payment.Decision

// wrapPayment lets change have the last word about a decision that payment.Apply made, and about what is stored of it.
func (m *machine) wrapPayment(change func(payment.Status, payment.Command, decision) (decision, payment.Status)) {
	apply := m.payment
	m.payment = func(stored payment.Status, c payment.Command) (payment.Decision, payment.Status) {
		d, _ := apply(stored, c)
		return change(stored, c, d)
	}
}

func TestEveryMutantIsKilled(t *testing.T) {
	t.Parallel()
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := production()
			mutant.make(&m)
			switch found := m.search(); {
			case found.broken == "":
				t.Errorf("the mutant lives, in %d states; want it killed by %s", found.states, mutant.kills)
			case !strings.HasPrefix(found.broken, string(mutant.kills)+":"):
				t.Errorf("killed by %s; want by %s", found.broken, mutant.kills)
			default:
				t.Logf("killed by %s", found.broken)
			}
		})
	}
}
