package outbox

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/pgtest"
)

// figures returns the counters and gauges of a registry, and how often each histogram has observed something, by name
// and labels.
func figures(t testing.TB, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "hosho_")
			for _, pair := range m.GetLabel() {
				name += " " + pair.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// Everything that can happen is at 0 before it does: an alert on it needs no first time.
func TestAWorkersMetricsAreThereFromTheBeginning(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c := patient()
	c.Metrics = NewMetrics(registry)
	NewWorkers(c, nil, greetings, &greeter{}, discard, "HELLO", "GOODBYE")
	got := figures(t, registry)
	for _, kind := range []string{"HELLO", "GOODBYE"} {
		for r := Decided; r <= Stray; r++ {
			value, found := got[fmt.Sprintf("deliveries_total %s %s", kind, r)]
			if want := r != TimedOut; found != want || value != 0 {
				t.Errorf("deliveries of %s that are %s: got %v at %v, want %v at 0", kind, r, found, value, want)
			}
		}
		for _, name := range []string{
			"deliveries_retried_total", "deliveries_in_flight", "breaker_open", "delivery_seconds",
		} {
			if value, found := got[name+" "+kind]; !found || value != 0 {
				t.Errorf("%s of %s: got %v at %v, want it at 0", name, kind, found, value)
			}
		}
	}
}

// Five messages come, one of which is answered ambiguously twice, and the last is still under way.
func TestWhatAWorkerDoesIsCounted(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	messages := hellos(5)
	release := make(chan struct{})
	g.answer = func(_ context.Context, m Message) Report {
		switch {
		case m.Key == messages[0].Key && m.Attempts < 2:
			return Report{Result: Ambiguous, Code: "WHAT", Took: 1}
		case m.Key == messages[4].Key:
			<-release
		}
		return Report{Result: Decided, Took: 1}
	}
	g.meet(t, db, messages...)
	c, registry := patient(), prometheus.NewRegistry()
	c.Metrics, c.BreakerStreak = NewMetrics(registry), 1
	w := newWorker(db, c, g)
	start(t, w)
	eventually(t, "all but one are greeted", func() bool { return people(t, db, "HAPPY") == 4 })
	inFlight := func(n float64) func() bool {
		return func() bool { return figures(t, registry)["deliveries_in_flight HELLO"] == n }
	}
	eventually(t, "one is in flight", inFlight(1))
	close(release)
	eventually(t, "nothing is in flight", inFlight(0))
	got := figures(t, registry)
	for name, want := range map[string]float64{
		"deliveries_total HELLO decided": 5, "deliveries_total HELLO ambiguous": 2, "deliveries_total HELLO blocked": 0,
		"deliveries_retried_total HELLO": 2, "delivery_seconds HELLO": 7, "outbox_wait_seconds HELLO": 7,
		"breaker_open HELLO": 0,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if got["outbox_claim_size HELLO"] == 0 || got["outbox_claim_size HELLO"] != got["outbox_claim_seconds HELLO"] {
		t.Errorf("got %v sizes of claims and %v times, want one of each", got["outbox_claim_size HELLO"],
			got["outbox_claim_seconds HELLO"])
	}
	if got["settle_size"] == 0 || got["settle_size"] != got["settle_seconds"] {
		t.Errorf("got %v sizes of settlements and %v times, want one of each", got["settle_size"],
			got["settle_seconds"])
	}
	w.breaker.Failed("somebody", "GONE", w.budget.since)
	if open := figures(t, registry)["breaker_open HELLO"]; open != 1 {
		t.Errorf("got breaker_open at %v after a failure, want 1", open)
	}
}
