package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"hosho/internal/pg"
	"hosho/internal/rpc"
)

// The database is away for half a minute, and ten thousand commands are told so. The log has the first, and how many
// there were; what became of others has a line each, and so has every other cause.
func TestTheCommandsOfAnOutageAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLogLines()
		logger := slog.New(slog.NewJSONHandler(log, nil))
		s := &server{log: logger, refusals: rpc.NewSampler(logger), refused: newRefused(), repeats: newRepeats(logger)}
		say := func(id string, err error) {
			c := fromCharge(newCharge(500))
			a := answer{command: &c, err: err}
			a.asked.ID = id
			s.record(t.Context(), &a, toPaymentError(err))
		}
		const perSecond, seconds = 333, 30
		for range seconds {
			for range perSecond {
				say(newID(), pg.ErrUnanswered)
			}
			say("decided", nil)
			<-time.After(time.Second)
		}
		s.refusals.Stop()
		s.repeats.Stop()
		own, together := 0, 0
		for _, line := range log.lines {
			switch {
			case line["msg"] == "refused":
				together += int(line["calls"].(float64))
			case line["code"] == "UNAVAILABLE":
				own++
			}
		}
		if own == 0 || own > 5 || own+together != perSecond*seconds {
			t.Errorf("got %d lines and %d commands told together, want few lines, and %d in all", own, together,
				perSecond*seconds)
		}
		if n := len(log.about("decided")); n != seconds {
			t.Errorf("got %d lines of what was decided, want %d", n, seconds)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(s.refused)
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatalf("got %v, error %v, want one metric", families, err)
		}
		var counted []float64 // the others are there, and 0
		for _, m := range families[0].GetMetric() {
			if n := m.GetCounter().GetValue(); n > 0 {
				counted = append(counted, n)
			}
		}
		if !slices.Equal(counted, []float64{perSecond * seconds}) {
			t.Errorf("counted %v, want %d of one reason", counted, perSecond*seconds)
		}
	})
}

// The topic of the outcomes is missing for half a minute, and a hundred orders are asked for again five times a second.
// What was decided has a line each, and of the repeats none is left out.
func TestRepeatsByTheThousandAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLogLines()
		logger := slog.New(slog.NewJSONHandler(log, nil))
		s := &server{log: logger, repeats: newRepeats(logger)}
		const orders, perSecond, seconds = 100, 500, 30
		say := func(fresh bool) {
			c := fromCharge(newCharge(500))
			s.record(t.Context(), &answer{command: &c, fresh: fresh}, nil)
		}
		for range orders {
			say(true)
		}
		for range seconds {
			for range perSecond {
				say(false)
			}
			<-time.After(time.Second)
		}
		s.repeats.Stop()
		own, together := len(log.named("payment")), 0
		for _, line := range log.named("payments") {
			together += int(line["payments"].(float64))
		}
		if most := orders + 4*ownRepeats; own > most || own+together != orders+perSecond*seconds {
			t.Errorf("got %d lines and %d told together, want %d lines at most, and %d in all",
				own, together, most, orders+perSecond*seconds)
		}
	})
}

// A request of a thousand commands that are none has few lines, and none of them is long.
func TestAHostileRequestDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	var commands []proto.Message
	for range maxCommands {
		c := newCharge(500)
		c.PaymentId, c.CustomerId = strings.Repeat("z", 200), strings.Repeat("\x01", 200)
		commands = append(commands, c)
	}
	k.send(commands...)
	k.receive(maxCommands)
	s.log.changed.L.Lock()
	defer s.log.changed.L.Unlock()
	lines := 0
	for _, line := range s.log.lines {
		if line["msg"] == "payment" {
			lines++
			if text, _ := line["error"].(string); len(text) > longestError+100 {
				t.Errorf("got an error of %d bytes, want at most %d", len(text), longestError)
			}
		}
	}
	if lines != 1 {
		t.Errorf("got %d lines, want one", lines)
	}
}
