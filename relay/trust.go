package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hosho/internal/orderdb"
	"hosho/internal/validate"
	"hosho/relay/internal/dispatch"
)

// alarmInterval is how often somebody is told of the payments database while the same is wrong with it.
const alarmInterval = 5 * time.Minute

// problem is what is wrong with the payments database; its words are those of the contract, empty when nothing is.
type problem string

const (
	another problem = "ANOTHER" // than the orders trust
	untold  problem = "UNTOLD"  // by a paymentd of an earlier release, while the orders trust one
	clock   problem = "CLOCK"   // that differs from the orders database's
)

// verdict is what a relay found when it asked paymentd last.
type verdict struct {
	problem       problem
	told, trusted string // identities, empty for none
	ahead         time.Duration
	at            time.Time
}

// trust is who paymentd may be: the one whose payments database the orders trust. The first that a relay meets is
// trusted from then on.
type trust struct {
	store  *orderdb.Store
	alarms alarms
	log    *slog.Logger

	mu     sync.Mutex
	latest verdict
	alarm  time.Time // when somebody was told last
}

// judge is the relay's dispatch.Trust. The orders database is asked for its clock and for whom it trusts at once.
func (t *trust) judge(ctx context.Context, told dispatch.Told) (dispatch.Reading, error) {
	var f validate.Fields
	if told.Database != "" {
		told.Database = f.UUID("payments_database", told.Database)
	}
	if err := f.Err(); err != nil {
		return dispatch.Reading{}, fmt.Errorf("paymentd does not tell an identity: %w", err)
	}
	asked := time.Now()
	known, err := t.store.Trust(ctx, told.Database)
	if err != nil {
		return dispatch.Reading{}, err
	}
	orders := dispatch.Read(known.Clock, asked, time.Now())
	v := verdict{told: told.Database, at: time.Now()}
	if known.Trusted != nil {
		v.trusted = *known.Trusted
	}
	if !told.Clock.Said.IsZero() {
		v.ahead = told.Clock.Ahead(orders)
	}
	v.problem = problemOf(v)
	t.tell(ctx, v)
	if v.problem == another || v.problem == untold {
		return orders, fmt.Errorf("%w: got %q, want %s", dispatch.ErrStranger, v.told, v.trusted)
	}
	return orders, nil
}

func problemOf(v verdict) problem {
	switch {
	case v.told == "" && v.trusted != "":
		return untold
	case v.told != v.trusted:
		return another
	case v.ahead.Abs() > dispatch.ClockTolerance:
		return clock
	}
	return ""
}

// tell logs what is new, and what is wrong now and then for as long as it is.
func (t *trust) tell(ctx context.Context, v verdict) {
	t.mu.Lock()
	before := t.latest
	t.latest = v
	changed := before.problem != v.problem || before.told != v.told || before.trusted != v.trusted
	due := changed || v.problem != "" && time.Since(t.alarm) >= alarmInterval
	if due {
		t.alarm = time.Now()
	}
	first := before.at.IsZero()
	t.mu.Unlock()
	if !due && !first {
		return
	}
	attrs := []any{"told", v.told, "trusted", v.trusted}
	switch {
	case v.problem == another:
		t.alarms.ring(stranger)
		t.log.ErrorContext(ctx, "another payments database: nothing is sent", attrs...)
	case v.problem == untold:
		t.alarms.ring(unidentified)
		t.log.ErrorContext(ctx, "paymentd does not tell its payments database: nothing is sent", attrs...)
	case v.problem == clock:
		t.alarms.ring(clocksDiffer)
		t.log.ErrorContext(ctx, "the databases' clocks differ", append(attrs, "payments_ahead", v.ahead)...)
	case v.told == "":
		t.log.WarnContext(ctx, "paymentd does not tell its payments database: any is trusted")
	default:
		t.log.InfoContext(ctx, "payments database", attrs...)
	}
}

// last returns what was found last, false before anything was.
func (t *trust) last() (verdict, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest, !t.latest.at.IsZero()
}
