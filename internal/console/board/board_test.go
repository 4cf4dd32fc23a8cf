package board_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	eventv1 "hosho/gen/event/v1"
	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/console/board"
)

const (
	pending    = orderv1.Order_STATUS_PENDING
	completed  = orderv1.Order_STATUS_COMPLETED
	cancelling = orderv1.Order_STATUS_CANCELLING
	cancelled  = orderv1.Order_STATUS_CANCELLED

	charged  = paymentv1.Payment_STATUS_CHARGED
	declined = paymentv1.Payment_STATUS_DECLINED
	voided   = paymentv1.Payment_STATUS_VOIDED
	refunded = paymentv1.Payment_STATUS_REFUNDED

	charge = relayv1.ParkedCommand_KIND_CHARGE
	void   = relayv1.ParkedCommand_KIND_VOID
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// order is one whose events are made.
type order struct {
	id     string
	amount *moneyv1.Money
}

func anOrder(n int, minor int64) order {
	id := fmt.Sprintf("0190b6a4-7c5e-7d3a-8f00-%012d", n)
	return order{id, &moneyv1.Money{AmountMinor: minor, CurrencyCode: "JPY"}}
}

func (o order) changes(at time.Time, from, to orderv1.Order_Status) *eventv1.Event {
	return &eventv1.Event{CreateTime: timestamppb.New(at), What: &eventv1.Event_Order{Order: &eventv1.OrderChange{
		OrderId: o.id, From: from, To: to, Amount: o.amount,
	}}}
}

func (o order) accepted(at time.Time) *eventv1.Event { return o.changes(at, 0, pending) }

func (o order) pays(at time.Time, status paymentv1.Payment_Status, repeat bool) *eventv1.Event {
	p := &eventv1.PaymentDecision{PaymentId: o.id, Status: status, Repeat: repeat, Amount: o.amount}
	return &eventv1.Event{CreateTime: timestamppb.New(at), What: &eventv1.Event_Payment{Payment: p}}
}

func (o order) delivers(at time.Time, kind relayv1.ParkedCommand_Kind, code string, wait time.Duration) *eventv1.Event {
	d := &eventv1.Delivery{OrderId: o.id, Kind: kind, Code: code, Meaning: relayv1.Attempt_MEANING_BLOCKED}
	if wait > 0 {
		d.RetryDelay = durationpb.New(wait)
	}
	return &eventv1.Event{CreateTime: timestamppb.New(at), What: &eventv1.Event_Delivery{Delivery: d}}
}

func (o order) command(kind relayv1.ParkedCommand_Kind, status orderv1.Order_Status, claims int32) *relayv1.Command {
	return &relayv1.Command{
		Command: &relayv1.ParkedCommand{
			OrderId: o.id, Kind: kind, CreateTime: timestamppb.New(noon), Claims: claims,
		},
		OrderStatus: relayv1.StatusChange_Status(status), Amount: o.amount,
	}
}

// told has a board be told events of one daemon.
func told(b *board.Board, now time.Time, daemon string, events ...*eventv1.Event) {
	b.Tell(now, daemon, daemon+":1", events)
}

// step is an event, and who tells it.
type step struct {
	daemon string
	event  *eventv1.Event
}

// history is what may happen to an order, from its beginning on, in the order in which it happens.
func history(r *rapid.T, o order) (steps []step) {
	at := noon
	next := func() time.Time { at = at.Add(time.Millisecond); return at }
	add := func(daemon string, e *eventv1.Event) { steps = append(steps, step{daemon, e}) }
	change := func(daemon string, from, to orderv1.Order_Status) { add(daemon, o.changes(next(), from, to)) }
	pay := func(status paymentv1.Payment_Status, repeat bool) { add("paymentd", o.pays(next(), status, repeat)) }

	add("orderd", o.accepted(next()))
	paid := false
	for range rapid.IntRange(0, 2).Draw(r, "replies that were lost") {
		pay(charged, paid)
		paid = true
	}
	switch rapid.SampledFrom([]string{"completed", "declined", "customer", "relay", "later"}).Draw(r, "end") {
	case "declined":
		if !paid {
			pay(declined, false)
			change("relay", pending, cancelled)
			return steps
		}
		fallthrough
	case "completed":
		pay(charged, paid)
		change("relay", pending, completed)
		return steps
	case "customer":
		change("orderd", pending, cancelling)
	case "relay":
		change("relay", pending, cancelling)
	case "later":
		pay(charged, paid)
		paid = true
		change("relay", pending, completed)
		change("orderd", completed, cancelling)
	}
	repeated := false
	for range rapid.IntRange(1, 3).Draw(r, "voids") {
		if paid {
			pay(refunded, repeated)
		} else {
			pay(voided, repeated)
		}
		repeated = true
	}
	if !paid && rapid.Bool().Draw(r, "a charge that is late") {
		pay(voided, true)
	}
	change("relay", cancelling, cancelled)
	return steps
}

// streams are histories as the daemons tell them, each in its own order.
func streams(r *rapid.T, histories [][]step) map[string][]*eventv1.Event {
	all := map[string][]*eventv1.Event{}
	for len(histories) > 0 { // they happen at the same time
		i := rapid.IntRange(0, len(histories)-1).Draw(r, "whose next event")
		next := histories[i][0]
		all[next.daemon] = append(all[next.daemon], next.event)
		if histories[i] = histories[i][1:]; len(histories[i]) == 0 {
			histories = slices.Delete(histories, i, i+1)
		}
	}
	return all
}

// Whatever the daemons' streams are like, and whichever is faster, money is held for what is owed once all was told.
func TestWhatIsHeldIsOwedInEachOrderOfTelling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var histories [][]step
		owed := int64(0)
		for n := range rapid.IntRange(1, 8).Draw(r, "orders") {
			h := history(r, anOrder(n, int64(100+n)))
			if last := h[len(h)-1].event.GetOrder(); last.GetTo() == completed {
				owed += last.GetAmount().GetAmountMinor()
			}
			histories = append(histories, h)
		}
		b, now := board.New(noon), noon
		for left := streams(r, histories); len(left) > 0; {
			now = now.Add(10 * time.Millisecond)
			daemon := rapid.SampledFrom(slices.Sorted(keys(left))).Draw(r, "who tells")
			n := rapid.IntRange(1, len(left[daemon])).Draw(r, "events")
			told(b, now, daemon, left[daemon][:n]...)
			if left[daemon] = left[daemon][n:]; len(left[daemon]) == 0 {
				delete(left, daemon)
			}
		}
		check := func(s board.State) {
			if len(s.Ledger) != 1 || s.Ledger[0] != (board.Line{Currency: "JPY", Held: owed, Owed: owed}) ||
				s.Incomplete != nil {
				r.Errorf("got %+v, incomplete: %v; want %d held and owed, and nothing in doubt", s.Ledger,
					s.Incomplete, owed)
			}
			if len(s.Pending.Chips) > 0 {
				r.Errorf("got %+v, want nothing under way", s.Pending)
			}
		}
		check(b.State(now))
		check(b.State(now.Add(time.Minute)))
	})
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// What nobody has heard makes the ledger incomplete. It leaves nothing in doubt that is not, and nothing unequal.
func TestAGapNeverAlarms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var histories [][]step
		for n := range rapid.IntRange(1, 8).Draw(r, "orders") {
			histories = append(histories, history(r, anOrder(n, int64(100+n))))
		}
		// Each event is told later than it happened, as everywhere.
		b, now, gaps := board.New(noon), noon.Add(time.Second), int64(0)
		for left := streams(r, histories); len(left) > 0; {
			now = now.Add(10 * time.Millisecond)
			daemon := rapid.SampledFrom(slices.Sorted(keys(left))).Draw(r, "who tells")
			n := rapid.IntRange(1, len(left[daemon])).Draw(r, "events")
			if rapid.IntRange(0, 3).Draw(r, "lost at 0") == 0 {
				b.Gap(now, board.Missed, daemon, 1)
				gaps++
			} else {
				told(b, now, daemon, left[daemon][:n]...)
			}
			if left[daemon] = left[daemon][n:]; len(left[daemon]) == 0 {
				delete(left, daemon)
			}
		}
		s := b.State(now.Add(time.Minute))
		if s.InDoubt() > 0 || (s.Incomplete != nil) != (gaps > 0) || gaps > 0 && s.Incomplete.Events != gaps {
			r.Errorf("got %+v, incomplete: %v after %d gaps; want nothing in doubt", s.Ledger, s.Incomplete, gaps)
		}
		for _, l := range s.Ledger {
			if l.Held != l.Owed {
				r.Errorf("got %+v, want both sides equal", l)
			}
		}
		if len(s.Pending.Chips)+len(s.Cancelling.Chips) > 0 {
			r.Errorf("got %+v, %+v; want nothing kept of what was not heard to its end", s.Pending, s.Cancelling)
		}
	})
}

// While money is held for an order that is not COMPLETED yet, or is not given back yet, it is in doubt.
func TestAnOrderIsInDoubtUntilBothSidesHaveIt(t *testing.T) {
	t.Parallel()
	b, o := board.New(noon), anOrder(1, 600)
	inDoubt := board.Line{Currency: "JPY", Held: 600, InDoubt: 1, Doubted: 600}
	for _, tt := range []struct {
		step
		want board.Line
	}{
		{step{"orderd", o.accepted(noon)}, board.Line{Currency: "JPY"}},
		{step{"paymentd", o.pays(noon, charged, false)}, inDoubt},
		{step{"paymentd", o.pays(noon, charged, true)}, inDoubt},
		{step{"relay", o.changes(noon, pending, completed)}, board.Line{Currency: "JPY", Held: 600, Owed: 600}},
		{step{"orderd", o.changes(noon, completed, cancelling)}, inDoubt},
		{step{"paymentd", o.pays(noon, refunded, false)}, board.Line{Currency: "JPY"}},
		{step{"relay", o.changes(noon, cancelling, cancelled)}, board.Line{Currency: "JPY"}},
	} {
		told(b, noon, tt.daemon, tt.event)
		if got := b.State(noon).Ledger; len(got) != 1 || got[0] != tt.want {
			t.Errorf("after %v: got %+v, want %+v", tt.event, got, tt.want)
		}
	}
}

// The answer to a commit was lost: nobody tells of the charge but as of one that had been made.
func TestAChargeOfWhichNobodyToldIsHeld(t *testing.T) {
	t.Parallel()
	b, o := board.New(noon), anOrder(1, 600)
	told(b, noon, "orderd", o.accepted(noon))
	told(b, noon, "paymentd", o.pays(noon, charged, true), o.pays(noon, charged, true))
	told(b, noon, "relay", o.changes(noon, pending, completed))
	want := board.Line{Currency: "JPY", Held: 600, Owed: 600}
	if got := b.State(noon).Ledger; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// An order of before the console looked, which is cancelled now, leaves both sides; one that is paid now was not seen
// from its beginning, and is on none.
func TestOrdersOfBefore(t *testing.T) {
	t.Parallel()
	b, paid, under := board.New(noon), anOrder(1, 600), anOrder(2, 700)
	told(b, noon, "orderd", paid.changes(noon, completed, cancelling))
	told(b, noon, "paymentd", paid.pays(noon, refunded, false), under.pays(noon, charged, false))
	told(b, noon, "relay", paid.changes(noon, cancelling, cancelled), under.changes(noon, pending, completed))
	want := board.Line{Currency: "JPY", Held: -600, Owed: -600}
	if got := b.State(noon).Ledger; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A daemon that the console does not know does its part in silence. That is no difference, and it is said.
func TestADaemonThatNobodyListensToMakesItIncomplete(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(b *board.Board, o order) time.Time{
		"a paymentd": func(b *board.Board, o order) time.Time {
			told(b, noon, "orderd", o.accepted(noon))
			told(b, noon, "relay", o.changes(noon, pending, completed))
			return noon.Add(time.Minute)
		},
		"a relay": func(b *board.Board, o order) time.Time {
			told(b, noon, "orderd", o.accepted(noon))
			told(b, noon, "paymentd", o.pays(noon, charged, false))
			later := noon.Add(10 * time.Second)
			b.Commands(later, later, charge, nil, false)
			return later
		},
		"a relay, of a void": func(b *board.Board, o order) time.Time {
			told(b, noon, "orderd", o.accepted(noon), o.changes(noon, pending, cancelling))
			later := noon.Add(10 * time.Second)
			b.Commands(later, later, void, nil, false)
			return later
		},
	} {
		b := board.New(noon)
		s := b.State(do(b, anOrder(1, 600)))
		if s.InDoubt() > 0 || s.Incomplete == nil || s.Incomplete.Why != board.Stranger {
			t.Errorf("%s: got %+v, incomplete: %+v; want it incomplete, and nothing in doubt", name, s.Ledger,
				s.Incomplete)
		}
		if len(s.Pending.Chips)+len(s.Cancelling.Chips) > 0 {
			t.Errorf("%s: got %+v, %+v; want it under way no more", name, s.Pending, s.Cancelling)
		}
	}
}

// Somebody who has understood why the ledger is incomplete has it begin again.
func TestItIsCountedAnew(t *testing.T) {
	t.Parallel()
	b, before, after := board.New(noon), anOrder(1, 600), anOrder(2, 700)
	told(b, noon, "orderd", before.accepted(noon))
	b.Gap(noon, board.Restart, "paymentd", 0)
	later := noon.Add(time.Second)
	b.Anew(later)
	told(b, later, "paymentd", before.pays(noon, charged, false))
	told(b, later, "relay", before.changes(noon, pending, completed))
	if s := b.State(later); len(s.Ledger) > 0 || s.Incomplete != nil || !s.Began.Equal(later) {
		t.Errorf("got %+v, %+v since %v; want nothing since %v", s.Ledger, s.Incomplete, s.Began, later)
	}
	last := later.Add(time.Second)
	told(b, last, "orderd", after.accepted(last))
	told(b, last, "paymentd", after.pays(last, charged, false))
	told(b, last, "relay", after.changes(last, pending, completed))
	want := board.Line{Currency: "JPY", Held: 700, Owed: 700}
	if got := b.State(last).Ledger; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
