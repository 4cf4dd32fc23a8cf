package main

import (
	"log/slog"
	"sync"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// manyGivenUp is how many orders are given up in a row before a person is told.
const manyGivenUp = 20

// giveUps watches for a paymentd that answers everybody and decides nobody. That is no outage, and each answer may be
// its order's own fault; so orders are given up, one after the other, and nothing else would tell that it is all of
// them.
type giveUps struct {
	log    *slog.Logger
	alarms alarms

	mu   sync.Mutex
	row  int                 // different orders given up since a charge was decided
	seen map[string]struct{} // the latest of them: an order may be given up by two claims
}

func newGiveUps(a alarms, log *slog.Logger) *giveUps {
	return &giveUps{log: log, alarms: a, seen: map[string]struct{}{}}
}

// note takes what became of a command. Voids say nothing here: they may be decided while no charge is.
func (g *giveUps) note(r outbox.Report, e order.Event) {
	if order.Command(r.Message.Kind) != order.Charge {
		return
	}
	switch {
	case r.Result == outbox.Decided:
		g.decided()
	case e == order.ChargeSpent, e == order.ChargeRefused, e == order.ChargeLate:
		if n := g.gaveUp(r.Message.Key); order.Doubled(n, manyGivenUp) {
			g.alarms.ring(givenUp)
			g.log.Error("orders are given up one after the other: paymentd decides none", "orders", n, "code", r.Code)
		}
	}
}

func (g *giveUps) decided() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.row = 0
	clear(g.seen)
}

// mostSeen bounds what is remembered of a row that never ends.
const mostSeen = 10_000

// gaveUp returns how many different orders were given up in a row, 0 when this one is among them already.
func (g *giveUps) gaveUp(id string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, again := g.seen[id]; again {
		return 0
	}
	if len(g.seen) >= mostSeen {
		clear(g.seen)
	}
	g.seen[id] = struct{}{}
	g.row++
	return g.row
}
