package main

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// paymentd answers INTERNAL to everybody. Each order is given up, as it would be for a fault of its own; at the
// twentieth in a row a person is told, and at each doubling.
func TestOrdersGivenUpOneAfterTheOtherCallForAPerson(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(45)
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, fails(codes.Internal, "INTERNAL", 0))
	}
	s.relay(func(p *pace) { p.MaxAttempts = 2 })
	s.drained()
	for _, o := range orders {
		if got := s.get(o.ID).Status; got != order.Cancelled {
			t.Errorf("got an order %s, want CANCELLED: it may be its own fault", got)
		}
	}
	lines := s.log.lines(givenUpInARow)
	if len(lines) != 2 || lines[0]["orders"] != "20" || lines[1]["orders"] != "40" || lines[0]["level"] != "ERROR" {
		t.Errorf("got %v, want an error at 20 orders and at 40", lines)
	}
	if lines := s.log.lines("the destination is down: one message a second probes it"); len(lines) != 0 {
		t.Errorf("got %v, want a closed breaker: that is off by default", lines)
	}
}

const givenUpInARow = "orders are given up one after the other: paymentd decides none"

func TestOnlyDifferentOrdersInARowCount(t *testing.T) {
	t.Parallel()
	const up, again, ok, void, late = order.ChargeSpent, order.ChargeUndecided, order.PaymentCharged,
		order.PaymentVoided, order.ChargeLate
	type step struct {
		event  order.Event
		orders int // different ones
		times  int // each
	}
	for name, test := range map[string]struct {
		steps []step
		want  float64
	}{
		"nineteen":               {[]step{{up, 19, 1}}, 0},
		"twenty":                 {[]step{{up, 20, 1}}, 1},
		"one twenty times":       {[]step{{up, 1, 20}}, 0},
		"each twice":             {[]step{{up, 20, 2}}, 1},
		"a charge between":       {[]step{{up, 19, 1}, {ok, 1, 1}, {up, 19, 1}}, 0},
		"voids between":          {[]step{{up, 10, 1}, {void, 10, 1}, {up, 10, 1}}, 1},
		"tried again":            {[]step{{again, 100, 3}}, 0},
		"refused":                {[]step{{order.ChargeRefused, 20, 1}}, 1},
		"too late":               {[]step{{late, 20, 1}}, 1},
		"at each doubling":       {[]step{{up, 170, 1}}, 4},
		"and anew":               {[]step{{up, 25, 1}, {ok, 1, 1}, {up, 25, 1}}, 2},
		"more than is kept":      {[]step{{up, mostSeen + 20, 1}}, 9},
		"in conflict, unlimited": {[]step{{order.ChargeConflict, 50, 1}}, 0},
	} {
		registry := prometheus.NewRegistry()
		g := newGiveUps(newAlarms(registry), slog.New(slog.DiscardHandler))
		id := 0
		for _, step := range test.steps {
			for range step.orders {
				id++
				r := outbox.Report{Message: outbox.Message{Key: fmt.Sprint(id), Kind: string(order.Charge)}}
				switch step.event {
				case ok:
					r.Result = outbox.Decided
				case void:
					r.Result, r.Message.Kind = outbox.Decided, string(order.Void)
				}
				for range step.times {
					g.note(r, step.event)
				}
			}
		}
		if got := moved(t, registry, "hosho_alarms_total", givenUp.word); got != test.want {
			t.Errorf("%s: got %v alarms, want %v", name, got, test.want)
		}
	}
}

// Where it is asked for, ambiguous answers to many orders are taken for an outage: orders wait, and complete when it
// is over.
func TestAmbiguousAnswersOpenTheBreakerWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(30)
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, fails(codes.Internal, "INTERNAL", 0))
	}
	s.relay(func(p *pace) { p.MaxAttempts, p.BreakerAmbiguousStreak = 3, 10 })
	const down = "the destination is down: one message a second probes it"
	eventually(t, "the breaker opens", func() bool { return len(s.log.lines(down)) == 1 })
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, nil)
	}
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// A paymentd that says that it has lost data is believed, whatever reason it gives: somebody must look.
func TestALossOfDataCallsForAPerson(t *testing.T) {
	both(t, func(s *system, begin func()) {
		charge, void := s.place(), s.cancelling()
		s.peer.script(charge.ID, order.Charge, fails(codes.DataLoss, "DISK_GONE", 0))
		s.peer.script(void.ID, order.Void, fails(codes.DataLoss, "", 0))
		begin()
		s.relay()
		s.drained()
		s.alarmed(charge.ID)
		s.alarmed(void.ID)
		s.await(charge.ID, order.Completed)
	})
}
