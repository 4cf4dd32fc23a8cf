package main

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"hosho/internal/order"
	"hosho/internal/slow"
)

// destinationDown is what the engine says when the breaker opens.
const destinationDown = "the destination is down: one message a second probes it"

// paymentd is down when the relay starts, and comes up later. Nothing was sent, so nothing is spent or suspected.
func TestPaymentdDownFromTheStart(t *testing.T) {
	t.Parallel()
	s := newSystemDown(t)
	charge, void := s.place(), s.cancelling()
	s.relay()
	for id, kind := range map[string]order.Command{charge.ID: order.Charge, void.ID: order.Void} {
		got := s.awaitRow(id, kind, "it was tried in vain", func(r row) bool { return r.Answers >= 2 && !r.Leased })
		if got.Attempts != 0 || got.Claims != got.Answers || got.LastCode != "UNAVAILABLE" {
			t.Errorf("%s: got %+v, want UNAVAILABLE, no attempt spent and every claim accounted for", kind, got)
		}
	}
	s.peer.start()
	s.drained()
	s.await(charge.ID, order.Completed)
	s.await(void.ID, order.Cancelled)
}

// paymentd is frozen: connections are taken, and nothing ever comes over them. No stream can be opened, so nothing was
// sent, and silence is no order's fault. Then it thaws.
func TestPaymentdFrozen(t *testing.T) {
	t.Parallel()
	s := newSystemDown(t)
	listener := s.peer.listen()
	orders := s.placeMany(8)
	// batches that queue for a stream
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts, p.Batch = 200*time.Millisecond, 1_000_000, 2 })
	for _, o := range orders {
		got := s.awaitRow(o.ID, order.Charge, "it could not be sent", func(r row) bool {
			return r.Answers >= 1 && !r.Leased
		})
		if got.Attempts != 0 || got.Claims != got.Answers || got.LastCode != "UNAVAILABLE" {
			t.Errorf("got %+v, want UNAVAILABLE, no attempt spent and every claim accounted for", got)
		}
	}
	s.peer.serve(listener)
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// paymentd is killed with commands in flight, half of them carried out, and restarted. All are sent again under their
// keys, to one charge each.
func TestPaymentdRestarts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(10)
	for i, o := range orders {
		if i%2 == 0 {
			s.peer.script(o.ID, order.Charge, holds(nil))
		} else {
			s.peer.script(o.ID, order.Charge, hangs)
		}
	}
	s.relay()
	eventually(t, "all are in flight", func() bool { return len(s.peer.all()) == len(orders) })
	s.peer.kill()
	for _, o := range orders {
		got := s.awaitRow(o.ID, order.Charge, "the loss is noticed", func(r row) bool {
			return r.LastCode == "UNAVAILABLE"
		})
		if got.Attempts != 0 {
			t.Errorf("got %+v, want no attempt spent", got)
		}
	}
	s.peer.start()
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// paymentd refuses everything. Three orders in a row open the breaker of their kind of command; from then on one
// command of the kind at a time probes, each a different one. Deadlines run on meanwhile: orders are given up although
// nothing is sent. When paymentd is back, a probe finds out, the charges are made, and the orders that were given up
// are voided.
func TestTheBreaker(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for probes")
	s := newSystem(t)
	var charges, voids []order.Order
	for range 3 {
		charges, voids = append(charges, s.place()), append(voids, s.cancelling())
		s.peer.always(charges[len(charges)-1].ID, order.Charge, fails(codes.Unavailable, "", 0))
		s.peer.always(voids[len(voids)-1].ID, order.Void, fails(codes.PermissionDenied, "", 0))
	}
	late := charges[0].ID
	s.peer.always(late, order.Void, fails(codes.Unavailable, "", 0))
	s.relay(func(p *pace) { // with waits that no test would wait for: it hurries
		p.BreakerStreak, p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = 3, time.Hour, time.Hour, time.Hour
	})
	eventually(t, "all were tried in vain", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE answers = 1`) == 6
	})
	if got := len(s.log.lines(destinationDown)); got != 2 {
		t.Fatalf("got %d lines that the destination is down, want one for charges and one for voids", got)
	}

	s.expire(late)
	s.hurryUntil("the late order is given up", func() bool { return s.get(late).Status == order.Cancelling })

	// One claim may have been admitted just before the breaker opened. After the first probe there is none of that
	// kind.
	probe := -1
	s.hurryUntil("the breaker has let four probes through", func() bool {
		all := s.peer.all()
		probe = 6 + slices.IndexFunc(all[6:], func(a arrival) bool { return a.together == 1 })
		return probe >= 6 && len(all) > probe+3
	})
	probes := s.peer.all()[probe+1 : probe+4]
	seen := map[commandKey]bool{}
	for _, probe := range probes {
		if probe.together != 1 || seen[probe.commandKey] {
			t.Errorf("got probes %v, want one command each, none twice", probes)
		}
		seen[probe.commandKey] = true
	}
	if got := s.count(`SELECT count(*) FROM outbox WHERE attempts > 0`); got != 0 {
		t.Errorf("got %d commands with attempts spent, want none", got)
	}

	for _, o := range charges {
		s.peer.always(o.ID, order.Charge, nil)
		s.peer.always(o.ID, order.Void, nil)
	}
	for _, o := range voids {
		s.peer.always(o.ID, order.Void, nil)
	}
	s.drained()
	if got := len(s.log.lines("the destination is back")); got == 0 {
		t.Error("got no word that the destination is back")
	}
	for _, o := range append(voids, charges[0]) {
		s.await(o.ID, order.Cancelled)
	}
	for _, o := range charges[1:] {
		s.await(o.ID, order.Completed)
	}
}

// paymentd refuses every void, and charges are made as ever. The voids find out that their destination is down; for the
// charges it never is, or each of them would wait for its turn to probe, behind voids that fail.
func TestVoidsThatFailDelayNoCharge(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for probes")
	s := newSystem(t)
	var voids []order.Order
	for range 10 {
		voids = append(voids, s.cancelling())
		s.peer.always(voids[len(voids)-1].ID, order.Void, fails(codes.Unavailable, "", 0))
	}
	s.relay(func(p *pace) { p.BreakerStreak = 5 })
	eventually(t, "the voids find out", func() bool { return len(s.log.lines(destinationDown)) > 0 })
	for _, o := range s.placeMany(50) {
		s.await(o.ID, order.Completed)
	}
	down, back := len(s.log.lines(destinationDown)), len(s.log.lines("the destination is back"))
	if down != 1 || back != 0 {
		t.Errorf("the destination was down %d times and back %d times, want once, for the voids, and that it still is",
			down, back)
	}
	for _, o := range voids {
		s.peer.always(o.ID, order.Void, nil)
	}
	s.drained()
	for _, o := range voids {
		s.await(o.ID, order.Cancelled)
	}
}

// A charge is refused, and its order given up. The void is another worker's, and nothing but the settling wakes that
// one in this hour.
func TestTheVoidOfAnOrderThatIsGivenUpIsDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.place()
	s.peer.always(o.ID, order.Charge, fails(codes.InvalidArgument, "INVALID_FIELDS", 0))
	s.relay(func(p *pace) { p.PollInterval, p.Wake = time.Hour, false })
	s.await(o.ID, order.Cancelled)
}

// A link swallows everything: commands vanish, and every one of them has gone unanswered often enough to be a suspect.
// Suspects alone must bring the breaker back when the link is there again, or they would wait for new customers.
func TestTheBreakerProbesWithSuspects(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for probes")
	s := newSystem(t)
	orders := []order.Order{s.cancelling(), s.cancelling()}
	for _, o := range orders {
		s.peer.always(o.ID, order.Void, fails(codes.Unavailable, "", 0))
	}
	s.suspect()
	s.relay(func(p *pace) { p.BreakerStreak = 2 })
	eventually(t, "the breaker opens", func() bool { return len(s.log.lines(destinationDown)) > 0 })
	for _, o := range orders {
		s.peer.always(o.ID, order.Void, nil)
	}
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Cancelled)
	}
}
