package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"hosho/internal/paymentdb"
)

const (
	// pinnedFor is how long it is not asked again which orders database is trusted: an operator may accept another.
	pinnedFor = 3 * time.Second
	// alarmInterval is how often somebody is told of events that are not acted on, of each sort.
	alarmInterval = 5 * time.Minute
)

// pin is whose events are acted on: those of the orders database that is trusted, which mean this payments database.
// The first orders database that a paymentd meets is trusted from then on.
type pin struct {
	store *paymentdb.Store
	log   *slog.Logger
	ring  func(unheeded) // counts an alarm

	mu    sync.Mutex
	known paymentdb.Identity
	at    time.Time              // when that was read; zero: not yet, or not any more
	rung  map[unheeded]time.Time // when a person was called last
	other string                 // the orders database that was not acted on last
	met   time.Time              // when that was
}

func newPin(store *paymentdb.Store, log *slog.Logger) *pin {
	return &pin{store: store, log: log, ring: func(unheeded) {}, rung: map[unheeded]time.Time{}}
}

// judge returns this payments database, and why what comes from an orders database, and means a payments database, is
// not acted on: "" when it is.
func (p *pin) judge(ctx context.Context, from, meant string) (ours string, why unheeded, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(ctx, ""); err != nil {
		return "", "", err
	}
	ours = p.known.ID
	if meant != "" && !strings.EqualFold(meant, ours) {
		if p.alarms(anotherPayments) {
			p.log.ErrorContext(ctx, "the event of an order means another payments database: it is not acted on",
				"meant", meant, "have", ours)
		}
		return ours, anotherPayments, nil
	}
	from = strings.ToLower(from)
	if p.known.Orders == nil {
		p.forgetNow()
		if err := p.read(ctx, from); err != nil {
			return "", "", err
		}
		p.log.InfoContext(ctx, "orders database", "trusted", *p.known.Orders)
	}
	if trusted := *p.known.Orders; from != trusted {
		p.other, p.met = from, time.Now()
		if p.alarms(anotherOrders) {
			p.log.ErrorContext(ctx, "an event of another orders database is not acted on",
				"from", from, "trusted", trusted)
		}
		return ours, anotherOrders, nil
	}
	return ours, "", nil
}

// read asks the database, unless it has just been asked. mu is held.
func (p *pin) read(ctx context.Context, told string) error {
	if !p.at.IsZero() && time.Since(p.at) < pinnedFor {
		return nil
	}
	at := time.Now()
	known, err := p.store.TrustOrders(ctx, told)
	if err != nil {
		return err
	}
	p.known, p.at = known, at
	return nil
}

// alarms reports whether a person is to be called, who was not for the same not long ago, and counts it. mu is held.
func (p *pin) alarms(why unheeded) bool {
	if last := p.rung[why]; !last.IsZero() && time.Since(last) < alarmInterval {
		return false
	}
	p.rung[why] = time.Now()
	p.ring(why)
	return true
}

// refused returns the orders database whose events were not acted on lately, "" when there was none.
func (p *pin) refused() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.met.IsZero() || time.Since(p.met) > alarmInterval || p.known.Orders != nil && *p.known.Orders == p.other {
		return ""
	}
	return p.other
}

// forget has the database asked anew, since it may be another.
func (p *pin) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetNow()
}

func (p *pin) forgetNow() { p.at = time.Time{} }
