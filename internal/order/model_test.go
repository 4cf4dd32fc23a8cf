package order_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/rules"
)

// The model check walks every reachable state of one order, its two commands and its payment. What happens in a state
// is asked of the production functions, order.Apply and payment.Apply; the test only keeps the rows.
//
// An adversary plays against them. He has every request that was ever sent carried out again, every answer that was
// ever given applied again, every hint about a command that was ever written believed again, the customer cancel and
// the operator settle, at any moment, in any order, any number of times. Crashes, leases that ran out, lost, doubled,
// late and reordered messages need no further modelling: each is something that he does, or does not do. So is all
// that a broker between the two may do. What a send leaves, whether another one arrives and whether a repeat is
// answered are functions of their own, for the mutants: a broker tempts one to take its acknowledgement for an outcome.
//
// Safety is checked in every state that he can reach. Liveness is checked without him: from every such state, whichever
// way the system then goes by itself, the order is settled in the end.

// state is all that the invariants can see, and all that the adversary has to play with.
type state struct {
	order        order.State
	charge, void command
	payment      payment.Status
	declined     payment.DeclineReason
	charges      int8 // ledger entries
	refunds      int8
	paid         bool // the order was COMPLETED at some time
	forgotten    bool // the payments database lost the payment of an order that was COMPLETED
}

// command is one of the order's commands.
type command struct {
	rows    int8                            // in the outbox
	sent    bool                            // at least once
	answers [order.PaymentRefunded + 1]bool // ever given to it, by the event that they mean
}

func (s *state) command(kind order.Command) *command {
	if kind == order.Void {
		return &s.void
	}
	return &s.charge
}

// requests is what paymentd may find when a command of a kind arrives.
var requests = map[order.Command][]payment.Command{
	order.Charge: {payment.ChargeApproved, payment.ChargeDeclined, payment.ChargeExpired},
	order.Void:   {payment.Void},
}

// hints is what a relay may report of a command without an answer.
var hints = map[order.Command][]order.Event{
	order.Charge: {
		order.ChargeUndecided, order.ChargeSpent, order.ChargeRefused, order.ChargeLate, order.ChargeConflict,
	},
	order.Void: {order.VoidUndecided, order.VoidConflict, order.VoidUnreadable},
}

// heard is what an answer may mean when it is applied: whether one is early depends on the order's clock.
var heard = map[order.Event][]order.Event{
	order.PaymentCharged: {order.PaymentCharged}, order.PaymentDeclined: {order.PaymentDeclined},
	order.PaymentExpired: {order.PaymentExpired, order.PaymentExpiredEarly},
	order.PaymentVoided:  {order.PaymentVoided}, order.PaymentRefunded: {order.PaymentRefunded},
}

var kinds = []order.Command{order.Charge, order.Void}

// machine is what is searched: the production functions, or a mutant's wrappers around them.
type machine struct {
	born    state
	order   func(order.State, order.Event) (order.Transition, error)
	payment func(payment.Status, payment.Command) (answered payment.Decision, stored payment.Status)
	fault   func(state) (state, bool) // what happens to the data behind the functions' backs; production has none

	sent    func(state, order.Command) state                    // what a send leaves
	arrives func(c command) bool                                // whether another send of a command gets there
	repeats func(stored payment.Status, to payment.Status) bool // whether a decision that changes nothing is told
}

func production() machine {
	return machine{
		born:  state{order: pending, charge: command{rows: 1}},
		order: order.Apply,
		payment: func(stored payment.Status, c payment.Command) (payment.Decision, payment.Status) {
			d := payment.Apply(stored, c)
			return d, d.Status
		},
		fault:   func(s state) (state, bool) { return s, false },
		sent:    send,
		arrives: func(command) bool { return true },
		repeats: func(payment.Status, payment.Status) bool { return true },
	}
}

// forgetful is production after the payments database was restored to an older state, or failed over to one: it may
// lose the payment of an order that was COMPLETED, ledger and all.
func forgetful() machine {
	m := production()
	m.fault = func(s state) (state, bool) {
		lost := s.payment == payment.Charged && (s.order == completed || s.order == afterCompleted)
		s.forgotten = s.forgotten || lost
		s.payment, s.charges = payment.None, 0
		return s, lost
	}
	return m
}

// move is one transaction, one message or one person's act.
type move struct {
	what string
	to   state
}

// moves returns everything that may happen in a state, the adversary included.
func (m machine) moves(s state) (moves []move) {
	add := func(what string, to state) { moves = append(moves, move{what, to}) }
	for _, kind := range kinds {
		c := s.command(kind)
		if c.rows > 0 {
			add("send "+string(kind), m.sent(s, kind))
		}
		if c.sent {
			for _, request := range requests[kind] {
				to, _ := m.carryOut(s, kind, request)
				add("carry out "+request.String(), to)
			}
		}
		for given, ever := range c.answers {
			for _, event := range heard[order.Event(given)] {
				if ever {
					add(fmt.Sprintf("%s answered: %s", kind, event), m.apply(s, kind, event))
				}
			}
		}
		if c.rows > 0 || c.sent { // a relay may hold a command that left the outbox long ago
			for _, event := range hints[kind] {
				add(event.String(), m.apply(s, kind, event))
			}
		}
	}
	if s.charge.rows > 0 && s.void.rows > 0 {
		add("the claim passes over CHARGE", superseded(s))
	}
	add(order.CustomerCancels.String(), m.apply(s, "", order.CustomerCancels))
	add(order.OperatorSettles.String(), m.apply(s, "", order.OperatorSettles))
	if to, happens := m.fault(s); happens {
		add("fault", to)
	}
	return moves
}

// drive returns what the system does by itself: a relay works on a command that is in the outbox, and paymentd answers
// it, or it is given up. A hint that only means "try again" is left out: nothing fails for ever.
func (m machine) drive(s state) (moves []move) {
	for _, kind := range kinds {
		if c := s.command(kind); c.rows == 0 || !m.arrives(*c) {
			continue
		}
		for _, request := range requests[kind] {
			to, event := m.carryOut(m.sent(s, kind), kind, request)
			if event != 0 {
				to = m.apply(to, kind, event)
			}
			moves = append(moves, move{"deliver " + request.String(), to})
		}
	}
	if s.charge.rows > 0 {
		for _, event := range []order.Event{order.ChargeSpent, order.ChargeRefused, order.ChargeLate} {
			moves = append(moves, move{event.String(), m.apply(s, order.Charge, event)})
		}
		if s.void.rows > 0 {
			moves = append(moves, move{"the claim passes over CHARGE", superseded(s)})
		}
	}
	return moves
}

func send(s state, kind order.Command) state {
	s.command(kind).sent = true
	return s
}

func superseded(s state) state {
	s.charge.rows = 0
	return s
}

// carryOut is paymentd's transaction: the decision, what is stored of it, and the ledger. It returns what the relay
// makes of the reply, 0 where there is none.
func (m machine) carryOut(s state, kind order.Command, request payment.Command) (state, order.Event) {
	decision, stored := m.payment(s.payment, request)
	told := m.repeats(s.payment, stored)
	reason := s.declined
	if decision.Reason != "" {
		reason = decision.Reason
	}
	if s.payment, s.declined = stored, ""; stored == payment.Declined {
		s.declined = reason
	}
	switch decision.Entry {
	case payment.ChargeEntry:
		s.charges++
	case payment.RefundEntry:
		s.refunds++
	}
	event := map[payment.Status]order.Event{
		payment.Charged: order.PaymentCharged, payment.Declined: order.PaymentDeclined,
		payment.Voided: order.PaymentVoided, payment.Refunded: order.PaymentRefunded,
	}[decision.Status]
	if reason == payment.Expired && decision.Status == payment.Declined {
		event = order.PaymentExpired
	}
	if !told {
		return s, 0
	}
	s.command(kind).answers[event] = true
	return s, event
}

// apply is the order context's transaction: the order's status and its rows. A refused event changes nothing.
func (m machine) apply(s state, kind order.Command, event order.Event) state {
	t, err := m.order(s.order, event)
	if err != nil {
		return s
	}
	s.order = t.To
	s.paid = s.paid || t.To == completed
	switch t.Fate {
	case order.Drop:
		s.command(kind).rows = 0
	case order.DropAll:
		s.charge.rows, s.void.rows = 0, 0
	}
	if t.Void {
		s.void.rows++
	}
	return s
}

// legal is every change of status that may be.
var legal = map[order.Status][]order.Status{
	order.Pending:    {order.Completed, order.Cancelling, order.Cancelled},
	order.Completed:  {order.Cancelling},
	order.Cancelling: {order.Cancelled},
	order.Cancelled:  {},
}

// breaks is a violation in words.
func breaks(id rules.ID, how string) string { return string(id) + ": " + how }

// violation names the invariant that a move breaks, and how; "" when it keeps them all.
func violation(from, s state) string {
	held := s.payment == payment.None || s.payment == payment.Charged
	now, was := s.order.Status, from.order.Status
	switch {
	case s.charges > 1:
		return breaks(rules.I1, "charged twice")
	case s.refunds > s.charges:
		return breaks(rules.I1, "refunded without a charge")
	case now == order.Completed && s.payment != payment.Charged && !s.forgotten:
		return breaks(rules.I2, "COMPLETED, and not paid")
	case s.order == cancelled && held:
		return breaks(rules.I3, "CANCELLED, and the payment is held or open")
	case s.order == cancelled && s.paid && s.payment != payment.Refunded:
		return breaks(rules.I25, "CANCELLED after COMPLETED, and not refunded")
	case s.charge.rows > 1 || s.void.rows > 1:
		return breaks(rules.I5, "two commands of a kind")
	case now == order.Pending && s.charge.rows == 0:
		return breaks(rules.I5, "PENDING without CHARGE")
	case now == order.Cancelling && s.void.rows == 0:
		return breaks(rules.I5, "CANCELLING without VOID")
	case now.Settled() && s.charge.rows+s.void.rows > 0:
		return breaks(rules.I5, "settled, with a command left")
	case now != was && !slices.Contains(legal[was], now):
		return breaks(rules.I6, fmt.Sprintf("from %s to %s", was, now))
	}
	return ""
}

// finding is what a search comes to. broken is empty, or the violation and the shortest way to it.
type finding struct {
	states int
	broken string
}

// search walks breadth first, so that the way to a violation is the shortest.
func (m machine) search() finding {
	type origin struct {
		from state
		what string
	}
	seen := map[state]origin{m.born: {}}
	queue := []state{m.born}
	way := func(s state, last ...string) string {
		steps := last
		for ; s != m.born; s = seen[s].from {
			steps = append([]string{seen[s].what}, steps...)
		}
		return strings.Join(append([]string{"born"}, steps...), " > ")
	}
	if broken := violation(m.born, m.born); broken != "" {
		return finding{1, broken + ": born"}
	}
	for i := 0; i < len(queue); i++ {
		s := queue[i]
		for _, next := range m.moves(s) {
			if broken := violation(s, next.to); broken != "" {
				return finding{len(seen), broken + ": " + way(s, next.what)}
			}
			if _, known := seen[next.to]; !known {
				seen[next.to] = origin{s, next.what}
				queue = append(queue, next.to)
			}
		}
	}
	settling := map[state]bool{}
	for _, s := range queue {
		if !m.settles(s, settling) {
			return finding{len(seen), breaks(rules.I14, "may never settle: "+way(s))}
		}
	}
	return finding{states: len(seen)}
}

// settles reports whether every way that the system can go by itself ends in a settled order: no dead end, no circle.
// An order that was paid, and its payment forgotten, waits for a person, and must.
func (m machine) settles(s state, known map[state]bool) bool {
	if s.order.Status.Settled() || s.order == afterCompleted && s.forgotten {
		return true
	}
	if answer, visited := known[s]; visited {
		return answer
	}
	known[s] = false // met again before it is known to settle: a circle
	moves := m.drive(s)
	for _, next := range moves {
		if !m.settles(next.to, known) {
			return false
		}
	}
	known[s] = len(moves) > 0
	return known[s]
}

func TestNoReachableStateBreaksThePromise(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]machine{"production": production(), "payments forgotten": forgetful()} {
		found := m.search()
		if found.broken != "" {
			t.Errorf("%s: %s", name, found.broken)
		}
		t.Logf("%s: %d states: no invariant is broken in any of them, and each settles", name, found.states)
	}
}
