package main

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"hosho/internal/order"
	"hosho/internal/slow"
)

// cardSilent is what paymentd answers when the card network does not: it bounds that network's time.
func cardSilent() step { return fails(codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT", 0) }

// givenUp returns how many orders were given up for their payment.
func (s *system) givenUp() int {
	s.t.Helper()
	return s.count(`SELECT count(*) FROM orders WHERE cancel_reason = 'PAYMENT_FAILED'`)
}

// wentAlone reports whether the peer was ever sent a command in a call of its own.
func (s *system) wentAlone() bool {
	return slices.ContainsFunc(s.peer.all(), func(a arrival) bool { return a.alone })
}

// Orders whose charges hang come beside ordinary ones. They do not queue behind each other, and none of the ordinary
// ones is kept: each silence is its own order's, since others are served meanwhile.
func TestHangingChargesDoNotQueueBehindEachOther(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits for timeouts")
	s := newSystem(t)
	hanging := s.placeMany(30)
	for _, o := range hanging {
		s.peer.always(o.ID, order.Charge, hangs)
	}
	s.placeMany(5)
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 400*time.Millisecond, 5 })
	eventually(t, "the hanging ones are given up", func() bool {
		s.await(s.place().ID, order.Completed)
		return s.givenUp() == len(hanging)
	})
	if s.wentAlone() {
		t.Error("a hanging command went alone, want it among the others")
	}
	s.drained()
}

// The card network answers nobody about 30 orders, and there are no others. paymentd says so of each. That is about
// each order: no breaker opens, and all are given up.
func TestATimeoutOfTheCardNetworkIsItsOrders(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(30)
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, cardSilent())
	}
	s.relay(func(p *pace) { p.BreakerStreak = 5 })
	s.drained()
	if got := s.givenUp(); got != len(orders) {
		t.Errorf("got %d orders given up, want all %d", got, len(orders))
	}
	if got := s.log.lines(destinationDown); len(got) != 0 {
		t.Errorf("got %v, want a closed breaker", got)
	}
}

// With a streak set, a card network that answers nobody is an outage: at most as many orders as the streak has lose an
// attempt to it.
func TestAtMostAStreakOfOrdersIsCancelledByACardNetworkThatAnswersNobody(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(100)
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, cardSilent())
	}
	s.relay(func(p *pace) { p.MaxAttempts, p.BreakerAmbiguousStreak = 1, 20 })
	eventually(t, "all were answered", func() bool { return len(s.log.lines("delivery")) >= len(orders) })
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, nil)
	}
	s.drained()
	if got := s.givenUp(); got > 20 {
		t.Errorf("got %d orders given up, want 20 at most", got)
	}
}

// Nothing comes over the stream, though it stands. No order is to blame, and none is given up, however few attempts it
// has: not by the silences before the breaker opens, nor by any after.
func TestAStreamThatAnswersNobodyCancelsNobody(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	for name, streak := range map[string]int{"the breaker opens": 5, "the breaker stays closed": 10_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			orders, healed := s.placeMany(20), make(chan struct{})
			for _, o := range orders {
				s.peer.always(o.ID, order.Charge, holds(healed))
			}
			s.relay(func(p *pace) {
				p.CallTimeout, p.MaxAttempts, p.BreakerStreak = 200*time.Millisecond, 1, streak
			})
			eventually(t, "each was tried, some again and again", func() bool {
				return len(s.peer.all()) >= 3*len(orders) || len(s.log.lines(destinationDown)) > 0 &&
					s.count(`SELECT count(*) FROM outbox WHERE claims > 0 AND lease_token IS NULL`) == len(orders)
			})
			close(healed)
			s.drained()
			for _, o := range orders {
				s.await(o.ID, order.Completed)
			}
		})
	}
}

// An outage that paymentd tells of, and one order about which it says nothing at all: its lookup waits for the same
// database. What everybody is told in an outage serves nobody.
func TestASilenceInAnOutageThatIsToldOfCancelsNobody(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	s := newSystem(t)
	silent, healed := s.place(), make(chan struct{})
	s.peer.always(silent.ID, order.Charge, holds(healed))
	told := s.placeMany(10)
	for _, o := range told {
		s.peer.always(o.ID, order.Charge, fails(codes.Unavailable, "COMMIT_UNKNOWN", 0))
	}
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 200*time.Millisecond, 1 })
	eventually(t, "it is tried again and again", func() bool {
		return len(s.peer.arrived(silent.ID, order.Charge)) >= 4
	})
	if got, _ := s.row(silent.ID, order.Charge); got.Attempts != 0 || got.Claims-got.Answers > 1 {
		t.Errorf("got %+v, want no attempt spent, and every claim but the latest accounted for", got)
	}
	close(healed)
	for _, o := range told {
		s.peer.always(o.ID, order.Charge, nil)
	}
	s.drained()
	s.await(silent.ID, order.Completed)
}

// Orders were suspects when they began to hang. Each goes alone, breaks nothing, and is among the others then: they do
// not queue for their turns to hang alone.
func TestASuspectThatHangsAloneGoesAmongTheOthersAgain(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits for timeouts, and internal/outbox shows the rule")
	s := newSystem(t)
	hanging := s.placeMany(4)
	for i, o := range hanging {
		does := hangs
		if i%2 == 0 {
			does = cardSilent()
		}
		s.peer.always(o.ID, order.Charge, does)
	}
	s.suspect()
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 200*time.Millisecond, 4 })
	eventually(t, "they are given up", func() bool {
		s.await(s.place().ID, order.Completed)
		return s.givenUp() == len(hanging)
	})
	for _, o := range hanging {
		var alone []bool
		for _, a := range s.peer.arrived(o.ID, order.Charge) {
			alone = append(alone, a.alone)
		}
		if !alone[0] || !slices.Contains(alone, false) {
			t.Errorf("got deliveries alone %v, want the first alone, and others among the others", alone)
		}
	}
	s.drained()
}

// A command wedges each stream that it goes over: nothing more is answered there, to anybody. It is alone after three
// times. There it only hangs, is let among the others once more, wedges them again, and is alone.
func TestACommandThatWedgesItsStreamIsIsolated(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	s := newSystem(t)
	poison := s.place()
	s.peer.wedge(poison.ID)
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = 200*time.Millisecond, 1_000_000 })
	eventually(t, "it has gone alone twice", func() bool {
		s.place()
		n := 0
		for _, a := range s.peer.arrived(poison.ID, order.Charge) {
			if a.alone {
				n++
			}
		}
		return n >= 2
	})
	arrived := s.peer.arrived(poison.ID, order.Charge)
	var alone []bool
	for _, a := range arrived[:6] {
		alone = append(alone, a.alone)
	}
	if want := []bool{false, false, false, true, false, true}; !slices.Equal(alone, want) {
		t.Errorf("got deliveries alone %v, want %v", alone, want)
	}
	s.peer.wedge("")
	s.drained()
	s.await(poison.ID, order.Completed)
}
