package bench

import (
	"testing"
	"time"

	"hosho/internal/slow"
)

// An idle database may be asked for work so often and not more often, whatever is asked for readiness.
func TestWhatAsksAnIdleDatabaseTooMuchIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		d     time.Duration
		looks float64
		want  int
	}{
		"seldom":                 {time.Minute, 0.19, 0},
		"once more":              {time.Minute, 0.216, 0},
		"each with its BEGIN":    {time.Minute, 0.3, 1},
		"while the daemons rest": {3 * time.Second, 1, 0},
	} {
		i := newIdle(test.d)
		i.add(Asked{Database: "orders", Statement: "SELECT seen.*, CASE WHEN $3", PerSecond: test.looks})
		i.add(Asked{Database: "orders", Statement: "SELECT name, compatible_from FROM schema_identity", PerSecond: 9})
		if got := i.tooMuch(); len(got) != test.want {
			t.Errorf("%s: got %q, want %d complaints", name, got, test.want)
		}
	}
}

// Two relays and the other daemons have nothing to do, and ask their databases as little as that.
func TestAnIdleSystemAsksLittle(t *testing.T) {
	slow.Long(t, "waits for a minute; internal/outbox, pg and dispatch each have their part with a clock of their own")
	r := measured(t, Config{Scenario: "idle", Duration: time.Minute, Relays: 2})
	if r.Idle == nil || r.Idle.Looking["orders"] <= 0 {
		t.Fatalf("got %+v, want that somebody looks for orders", r.Idle)
	}
	for _, a := range r.Idle.Asked {
		t.Logf("%s: %.3f/s %.60s", a.Database, a.PerSecond, a.Statement)
	}
}
