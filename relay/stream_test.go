package main

import (
	"slices"
	"testing"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/slow"
)

// One command hangs in the middle of a thousand plain ones. The thousand are settled while it hangs; it is reported as
// silent, sent again, and settled when the peer comes to its senses.
func TestACommandThatHangsDelaysNoOther(t *testing.T) {
	slow.Test(t, "waits for timeouts")
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(1001)
	hanging := orders[500].ID
	s.peer.always(hanging, order.Charge, hangs)
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 3*time.Second, 1_000_000 })
	eventually(t, "the plain ones are settled", func() bool {
		return s.count(`SELECT count(*) FROM orders WHERE status = 'COMPLETED'`) == 1000
	})
	if got := s.get(hanging).Status; got != order.Pending {
		t.Errorf("got the hanging order %s, want it still PENDING", got)
	}
	silent := s.awaitRow(hanging, order.Charge, "it is reported as silent", func(r row) bool {
		return r.LastCode == "NO_ANSWER"
	})
	if silent.Attempts < 1 || silent.Answers < 1 || silent.Claims > silent.Answers+1 {
		t.Errorf("got %+v, want an attempt spent, and every claim but the latest accounted for", silent)
	}
	s.hurry()
	eventually(t, "it is tried again", func() bool { return len(s.peer.arrived(hanging, order.Charge)) >= 2 })
	s.peer.always(hanging, order.Charge, nil)
	s.drained()
	s.await(hanging, order.Completed)
}

// The peer charges, and its answer is held up. The relay takes it for silent, gives the order up and gives the money
// back. Then the answer comes after all, on a stream that is alive: it is old news.
func TestALateReplyHarmsNothing(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	s := newSystem(t)
	late, other := s.place(), s.place()
	told := make(chan struct{})
	s.peer.script(late.ID, order.Charge, holds(told))
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 2*time.Second, 1 })
	s.await(other.ID, order.Completed) // on the same stream
	s.await(late.ID, order.Cancelled)
	close(told)
	after := s.place() // answered later than the late reply, if that goes anywhere
	s.await(after.ID, order.Completed)
	s.drained()
	if got := s.get(late.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonPaymentFailed {
		t.Errorf("got %s (%s), want CANCELLED (PAYMENT_FAILED)", got.Status, got.CancelReason)
	}
	if got, _ := s.bank.get(late.ID); got != payment.Refunded {
		t.Errorf("got payment %s, want REFUNDED", got)
	}
}

// The peer charges, and its answer comes when the relay has taken it for silent, and will not ask again for an hour. It
// is settled, on a stream that others have been answered on, and on one that was left because nothing came.
func TestALateDecisionIsSettled(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]int{"on a stream that is alive": 3, "on one that was left": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			late := s.place()
			told := make(chan struct{})
			s.peer.script(late.ID, order.Charge, holds(told))
			s.relay(func(p *pace) {
				p.CallTimeout, p.MaxAttempts = 2*time.Second, 1000
				p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = time.Hour, time.Hour, time.Hour
			})
			eventually(t, "it is sent", func() bool { return len(s.peer.arrived(late.ID, order.Charge)) == 1 })
			for range others {
				s.await(s.place().ID, order.Completed)
			}
			s.awaitRow(late.ID, order.Charge, "it is reported as silent", func(r row) bool {
				return r.LastCode == "NO_ANSWER" && !r.Leased
			})
			close(told)
			s.await(late.ID, order.Completed)
			if got := len(s.peer.arrived(late.ID, order.Charge)); got != 1 {
				t.Errorf("got %d charges sent, want the one that was answered late", got)
			}
			s.drained()
		})
	}
}

// Results come in any order and grouping, for keys that nobody asked about, of no kind, twice, and saying nothing. Each
// command is settled once, by the first result that is its own.
func TestResultsInAnyOrderAndGrouping(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(20)
	empty := orders[7].ID
	noise := func() []*paymentv1.PaymentResult {
		return []*paymentv1.PaymentResult{
			{PaymentId: "0190b6a4-7c5e-7d3a-8f00-0123456789ab", Kind: paymentv1.PaymentResult_KIND_CHARGE},
			{
				PaymentId: orders[3].ID, Kind: paymentv1.PaymentResult_KIND_VOID,
				Outcome: &paymentv1.PaymentResult_Payment{},
			},
			{PaymentId: orders[4].ID, Outcome: &paymentv1.PaymentResult_Error{}},
			{},
		}
	}
	said := false
	s.peer.send = func(send func(*paymentv1.ProcessPaymentsResponse) error, results []*paymentv1.PaymentResult) error {
		slices.Reverse(results)
		if !said {
			said = true
			for _, r := range results {
				if r.GetPaymentId() == empty {
					r.Outcome = nil
				}
			}
		}
		for group := range slices.Chunk(results, 3) {
			for _, results := range [][]*paymentv1.PaymentResult{noise(), group, {}, group} {
				if err := send(&paymentv1.ProcessPaymentsResponse{Results: results}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	s.relay()
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
		want := []string{"OK"}
		if o.ID == empty {
			want = []string{"UNKNOWN_OUTCOME", "OK"}
		}
		var got []string
		for _, d := range s.deliveries(o.ID, order.Charge) {
			got = append(got, d["code"])
		}
		if !slices.Equal(got, want) {
			t.Errorf("order %s: got deliveries %q, want %q", o.ID, got, want)
		}
	}
}

// The stream breaks with commands in flight. Each may have been carried out, and one of them may have broken it; none
// is to blame for sure. No attempt is spent, the claims go unanswered, and all are sent again.
func TestAStreamThatBreaksSpendsNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	told := make(chan struct{})
	orders := s.placeMany(4)
	for _, o := range orders[1:] {
		s.peer.script(o.ID, order.Charge, holds(nil), holds(told)) // carried out, and never answered: the stream breaks
	}
	s.peer.script(orders[0].ID, order.Charge, breaks, holds(told))
	s.relay()
	for _, o := range orders {
		got := s.awaitRow(o.ID, order.Charge, "it is sent again", func(r row) bool { return r.Claims == 2 })
		if got.Attempts != 0 || got.Answers != 0 || got.LastCode != "UNAVAILABLE" {
			t.Errorf("got %+v, want UNAVAILABLE, no attempt and no answer", got)
		}
	}
	close(told)
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// One command breaks every stream that it goes over, and with it all the others in flight. After three times they are
// suspects, and go each in a call of its own; there the one breaks nothing but its own call.
func TestACommandThatBreaksStreamsGoesAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(5)
	poison := orders[2].ID
	s.peer.always(poison, order.Charge, breaks)
	s.relay()
	s.hurryUntil("the others are settled", func() bool {
		return s.count(`SELECT count(*) FROM orders WHERE status = 'COMPLETED'`) == len(orders)-1
	})
	s.hurryUntil("the poison has gone alone, twice", func() bool {
		got := s.peer.arrived(poison, order.Charge)
		return len(got) >= 5 && got[len(got)-2].alone
	})
	arrived := s.peer.arrived(poison, order.Charge)
	if got := slices.IndexFunc(arrived, func(a arrival) bool { return a.alone }); got != 3 {
		t.Errorf("got %d deliveries over the stream before the first alone, want 3: %v", got, arrived)
	}
	plain := s.place() // is not disturbed any more
	s.await(plain.ID, order.Completed)
	if got := s.peer.arrived(plain.ID, order.Charge); len(got) != 1 {
		t.Errorf("got %d deliveries of a plain command, want 1", len(got))
	}
	if got, _ := s.row(poison, order.Charge); got.Attempts != 0 || got.Answers != 0 {
		t.Errorf("got %+v, want no attempt spent, and no answer counted where only the transport spoke", got)
	}
	s.expire(poison)
	s.drained()
	s.await(poison, order.Cancelled)
}

// hurryUntil waits for something, and makes due whatever waits for its next attempt.
func (s *system) hurryUntil(what string, done func() bool) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		s.hurry()
		return done()
	})
}

// A stream whose other end never reads or writes anything, behind a connection that is alive: a wedged handler, or a
// proxy that lost it. The transport never breaks it; the relay must leave it by itself, and end it.
func TestAStreamThatIsStuckIsLeft(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	s := newSystem(t)
	deaf := make(chan struct{})
	s.peer.deaf = deaf
	orders := s.placeMany(1000) // more than fits into what HTTP/2 lets through unread
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts, p.listen = 2*time.Second, 1_000_000, time.Second })
	select {
	case <-deaf:
	case <-time.After(longWait):
		t.Fatal("the stuck stream is not ended")
	}
	s.drained()
	if got := s.count(`SELECT count(*) FROM orders WHERE status = 'COMPLETED'`); got != len(orders) {
		t.Errorf("got %d orders COMPLETED, want %d", got, len(orders))
	}
}
