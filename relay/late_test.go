package main

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"hosho/internal/lab/proxy"
	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/slow"
)

// linked makes a system whose relays reach the peer over a link.
func linked(t *testing.T) (*system, *proxy.Proxy) {
	t.Helper()
	s := newSystemDown(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.peer.serve(listener)
	link, err := proxy.Listen(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	s.peer.through = link.Address()
	return s, link
}

// Each answer takes longer than a command may. All come late, and settle all the same, from the introduction on: no
// order is given up, though one attempt would be enough for that.
func TestARoundTripThatIsLongerThanACallSettlesEveryOrder(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for answers")
	timeout := time.Duration(slow.Times(200, 2000)) * time.Millisecond
	s, link := linked(t)
	s.peer.say(introduction{database: rightOne})
	link.Set(proxy.Link{Latency: timeout/2 + timeout/20}) // each way: 2.2 s for calls of 2 s
	orders := append(s.placeMany(30), s.cancelling(), s.cancelling())
	s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts, p.BreakerStreak = timeout, 1, 5 })
	for range slow.Times(2, 5) {
		wave := s.placeMany(20)
		s.await(wave[0].ID, order.Completed)
		orders = append(orders, wave...)
	}
	s.drained()
	for _, o := range orders {
		if got, _ := s.bank.get(o.ID); o.Status == order.Pending && got != payment.Charged {
			t.Errorf("got order %s with its payment %s, want it CHARGED", s.get(o.ID).Status, got)
		}
	}
	if got := s.givenUp(); got != 0 {
		t.Errorf("got %d orders given up, want none", got)
	}
}

// A suspect goes in a call of its own, and its answer takes longer than a command may.
func TestALateDecisionAboutASuspectIsSettled(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	late, told := s.place(), make(chan struct{})
	s.peer.script(late.ID, order.Charge, holds(told))
	s.suspect()
	s.relay(func(p *pace) {
		p.CallTimeout, p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = time.Second, time.Hour, time.Hour, time.Hour
	})
	s.awaitRow(late.ID, order.Charge, "it is reported as silent", func(r row) bool {
		return r.LastCode == "NO_ANSWER" && !r.Leased
	})
	close(told)
	s.await(late.ID, order.Completed)
}

// A charge is silent for so long that its destination is taken to be down, and each probe of that fails. Then the
// charge is decided after all: the destination was not down, and is back.
func TestALateDecisionClosesTheBreaker(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	late, told := s.place(), make(chan struct{})
	s.peer.script(late.ID, order.Charge, holds(told))
	s.relay(func(p *pace) {
		p.CallTimeout, p.BreakerStreak = time.Second, 1
		p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = time.Hour, time.Hour, time.Hour
	})
	eventually(t, "the destination is down", func() bool { return len(s.log.lines(destinationDown)) == 1 })
	s.peer.always(s.place().ID, order.Charge, fails(codes.Unavailable, "", 0))
	close(told)
	s.await(late.ID, order.Completed)
	eventually(t, "it is back", func() bool { return len(s.log.lines("the destination is back")) > 0 })
}
