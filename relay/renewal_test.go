package main

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"hosho/internal/order"
	"hosho/internal/slow"
)

// aging makes a system whose peer lets no connection become old, and gives what is on one a while then.
func aging(t *testing.T, grace time.Duration) *system {
	s := newSystemDown(t)
	s.peer.options = []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionAge: 400 * time.Millisecond, MaxConnectionAgeGrace: grace,
	})}
	s.peer.start()
	return s
}

// streams returns how many streams were opened to the peer.
func (p *peer) streams() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// traffic places orders, some of whose charges take a while, until the peer has seen so many streams.
func (s *system) traffic(streams int) (orders []order.Order) {
	s.t.Helper()
	eventually(s.t, "there were streams enough", func() bool {
		if s.count(`SELECT count(*) FROM outbox`) > 100 {
			return false // a slow machine is given no more than it settles
		}
		more := s.placeMany(20)
		s.peer.script(more[0].ID, order.Charge, waits(50*time.Millisecond))
		orders = append(orders, more...)
		return s.peer.streams() >= streams
	})
	eventually(s.t, "all are settled", func() bool { return s.count(`SELECT count(*) FROM outbox`) == 0 })
	return orders
}

// Connections end by age under load, again and again. The relay has left them before: no command is broken off, and
// nothing is a failure.
func TestConnectionsThatEndByAgeBreakNoCommand(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for connections to become old")
	s := aging(t, 2*time.Second)
	s.relay(func(p *pace) {
		p.renew, p.MaxAttempts, p.BreakerStreak, p.BreakerAmbiguousStreak = 150*time.Millisecond, 1, 1, 1
	})
	orders := s.traffic(slow.Times(8, 200))
	s.unharmed()
	for _, l := range s.log.lines("delivery") {
		if l["code"] != "OK" {
			t.Errorf("got %v, want each command answered at once", l)
		}
	}
	for _, o := range orders {
		if got := len(s.peer.arrived(o.ID, order.Charge)); got != 1 {
			t.Errorf("got the charge of an order sent %d times, want once", got)
		}
	}
	s.drained()
}

// The same with connections that are closed sooner than the relay leaves them, with commands on them. They are sent
// again at once, and nothing is a failure. The grace is long enough for the relay to hear that it should leave: what is
// closed before that was heard cannot be told from a crash.
func TestAStreamThatIsEndedAsPlannedHarmsNothing(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for connections to become old")
	s := aging(t, 400*time.Millisecond)
	s.relay(func(p *pace) { p.MaxAttempts, p.BreakerStreak, p.BreakerAmbiguousStreak = 1, 1, 1 })
	s.traffic(slow.Times(2, 30))
	s.unharmed()
	if !slices.ContainsFunc(s.log.lines("delivery"), func(l line) bool { return l["code"] == "STREAM_ENDED" }) {
		t.Error("got no command that its stream was ended with")
	}
	s.drained()
}
