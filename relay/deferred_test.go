package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"hosho/internal/order"
)

// unharmed checks that nothing that a relay has met so far counts as a failure.
func (s *system) unharmed() {
	s.t.Helper()
	got := s.count(`
		SELECT count(*)
		FROM attempts
		WHERE means <> 'DECIDED' AND (means <> 'BLOCKED' OR code <> ALL($1))`, order.DeferredCodes)
	if got != 0 {
		s.t.Errorf("got %d attempts that were written down as failures, want none", got)
	}
	if got := s.count(`SELECT count(*) FROM outbox WHERE attempts > 0`); got != 0 {
		s.t.Errorf("got %d commands with attempts spent, want none", got)
	}
	for _, l := range s.log.lines("delivery") {
		if l["level"] != "INFO" && l["level"] != "DEBUG" {
			s.t.Errorf("got %v, want no failure in the log", l)
		}
	}
	for _, msg := range []string{destinationDown, "order needs a person"} {
		if got := s.log.lines(msg); len(got) != 0 {
			s.t.Errorf("got %v, want nothing of it", got)
		}
	}
}

// paymentd has more to do than it can, and says so. It is asked again when it said, and that is all.
func TestAPaymentdThatIsOverloadedIsWaitedFor(t *testing.T) {
	both(t, func(s *system, begin func()) {
		charge, void := s.place(), s.cancelling()
		busy := fails(codes.ResourceExhausted, "OVERLOADED", 300*time.Millisecond)
		s.peer.script(charge.ID, order.Charge, busy, busy)
		s.peer.script(void.ID, order.Void, busy, busy)
		begin()
		s.relay(func(p *pace) { p.MaxAttempts, p.BreakerStreak, p.BreakerAmbiguousStreak, p.VoidAlarm = 1, 1, 1, 1 })
		s.await(charge.ID, order.Completed)
		s.await(void.ID, order.Cancelled)
		s.unharmed()
		for _, l := range s.log.lines("delivery") {
			wait, err := time.ParseDuration(l["retry_in"])
			if l["code"] == "OVERLOADED" && (err != nil || wait < 300*time.Millisecond) {
				s.t.Errorf("got a wait of %s, want the 300ms that were asked for", l["retry_in"])
			}
		}
	})
}

// paymentd stops while commands are on their way: its stream ends with STOPPING, and they are tried again. Nobody is
// said to be down.
func TestAPaymentdThatStopsHarmsNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := append(s.placeMany(10), s.cancelling())
	for _, o := range orders {
		for kind := range map[order.Command]bool{order.Charge: true, order.Void: true} {
			s.peer.script(o.ID, kind, stops)
		}
	}
	s.relay(func(p *pace) { p.MaxAttempts, p.BreakerStreak, p.BreakerAmbiguousStreak, p.VoidAlarm = 1, 1, 1, 1 })
	eventually(t, "all are settled", func() bool { return s.count(`SELECT count(*) FROM outbox`) == 0 })
	s.unharmed()
	s.drained()
}
