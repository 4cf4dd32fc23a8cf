package identity

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Refused is how many changes were no good.
func (k *Keeper) Refused(t testing.TB) int {
	t.Helper()
	return int(k.shown(t, "hosho_tls_reloads_total", "refused"))
}

// Taken is how many changes were good.
func (k *Keeper) Taken(t testing.TB) int {
	t.Helper()
	return int(k.shown(t, "hosho_tls_reloads_total", "taken"))
}

// Until is the time, in seconds, until which the metrics say that a file is good: "cert" or "ca".
func (k *Keeper) Until(t testing.TB, file string) int64 {
	t.Helper()
	return int64(k.shown(t, "hosho_tls_not_after_timestamp_seconds", file))
}

// shown is a metric one of whose labels has a value.
func (k *Keeper) shown(t testing.TB, name, value string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	k.Register(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if f.GetName() == name && label.GetValue() == value {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no %s of %s", name, value)
	return 0
}
