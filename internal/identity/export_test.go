package identity

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Refused is how many changes were no good.
func (k *Keeper) Refused(t testing.TB) int {
	t.Helper()
	registry := prometheus.NewRegistry()
	k.Register(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "hosho_files_refused_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatal("nothing is counted")
	return 0
}
