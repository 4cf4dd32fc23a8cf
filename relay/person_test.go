package main

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/outbox"
)

// Each call for a person is a line in the log and one more in the figure of its cause.
func TestCallsForAPersonAreCounted(t *testing.T) {
	t.Parallel()
	registry, log := prometheus.NewRegistry(), &journal{}
	p := newPersons(registry, slog.New(log))
	p.call("payment expired early", slog.String("order_id", "1"))
	p.call("payment expired early", slog.String("order_id", "2"))
	p.callAbout(outbox.Message{Key: "3", Kind: "VOID"}, "KEY_REUSED", "void conflict", slog.Int("failures", 4))
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("got %d metrics, error %v; want one", len(families), err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if got["payment expired early"] != 2 || got["void conflict"] != 1 {
		t.Errorf("got %v, want 2 that expired early, and a conflict", got)
	}
	lines := log.lines("order needs a person")
	if len(lines) != 3 || lines[2]["order_id"] != "3" || lines[2]["cause"] != "void conflict" {
		t.Errorf("got %v, want a line for each", lines)
	}
}
