package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hosho/internal/orderdb"
	"hosho/relay/internal/publish"
)

const (
	// pinFor is how long what was read of the pinned databases is believed: an operator may accept another.
	pinFor = 2 * time.Second
	// mostStrangers bounds how many others are told apart.
	mostStrangers = 100
)

// pin is which databases the events on a broker are of: these orders, and the payments database that they trust. The
// first one whose event is met is trusted from then on. What another one says is not applied: its payments are not
// those of these orders.
type pin struct {
	store  *orderdb.Store
	alarms alarms
	log    *slog.Logger

	mu        sync.Mutex
	orders    string // never changes; empty: not read yet
	trusted   string // empty: none is
	at        time.Time
	heard     verdict              // of the other one that was met last
	strangers map[string]time.Time // when somebody was told of each
}

// identify is the publisher's.
func (p *pin) identify(ctx context.Context) (publish.Databases, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.orders == "" {
		id, err := p.store.Identity(ctx)
		if err != nil {
			return publish.Databases{}, err
		}
		p.orders = id
	}
	if err := p.refresh(ctx, ""); err != nil {
		return publish.Databases{}, err
	}
	return publish.Databases{Orders: p.orders, Payments: p.trusted}, nil
}

// trusts reports whether a payments database is the one that is trusted, or becomes it. Somebody is told of another.
func (p *pin) trusts(ctx context.Context, told string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trusted == "" {
		p.at = time.Time{} // it may become it
	}
	if err := p.refresh(ctx, told); err != nil {
		return false, err
	}
	if p.trusted == told {
		return true, nil
	}
	p.meet(ctx, told)
	return false, nil
}

// refresh reads which payments database is trusted, unless that was read lately. The caller holds p.mu.
func (p *pin) refresh(ctx context.Context, told string) error {
	if time.Since(p.at) < pinFor {
		return nil
	}
	known, err := p.store.Trust(ctx, told)
	if err != nil {
		return err
	}
	before := p.trusted
	p.trusted, p.at = "", time.Now()
	if known.Trusted != nil {
		p.trusted = *known.Trusted
	}
	if p.trusted != before {
		p.log.InfoContext(ctx, "payments database", "trusted", p.trusted)
	}
	return nil
}

// meet notes another payments database. The caller holds p.mu.
func (p *pin) meet(ctx context.Context, told string) {
	now := time.Now()
	p.heard = verdict{problem: another, told: told, trusted: p.trusted, at: now}
	if last, known := p.strangers[told]; known && now.Sub(last) < alarmInterval {
		return
	}
	if len(p.strangers) >= mostStrangers {
		clear(p.strangers)
	}
	p.strangers[told] = now
	p.alarms.ring(stranger)
	p.log.ErrorContext(ctx, "another payments database: what it says is not applied",
		"told", told, "trusted", p.trusted)
}

// last is what was met: the other payments database that was heard of lately, or the one that is trusted.
func (p *pin) last() (verdict, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.heard.told != "" && p.heard.told != p.trusted && time.Since(p.heard.at) < alarmInterval:
		v := p.heard
		v.trusted = p.trusted
		return v, true
	case p.trusted == "":
		return verdict{}, false
	}
	return verdict{told: p.trusted, trusted: p.trusted, at: p.at}, true
}

// AskAnew reads anew which payments database is trusted. Which others there are only their events say.
func (p *pin) AskAnew(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = time.Time{}
	if err := p.refresh(ctx, ""); err != nil {
		return err
	}
	if p.trusted == "" {
		return errNoEvent
	}
	return nil
}

// errNoEvent says that nobody has said anything yet.
var errNoEvent = errors.New("no event of a payments database has come yet")
