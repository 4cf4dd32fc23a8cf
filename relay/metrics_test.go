package main

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// figure returns the value of a counter, or how often a histogram has observed something, with the values of its labels
// in the order of their names; false when there is none.
func figure(t *testing.T, registry prometheus.Gatherer, name string, labels ...string) (value float64, found bool) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, pair := range m.GetLabel() {
				got = append(got, pair.GetValue())
			}
			if slices.Equal(got, labels) {
				seen := float64(m.GetHistogram().GetSampleCount())
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + seen, true
			}
		}
	}
	return 0, false
}

// moved is figure of something that is there from the beginning.
func moved(t *testing.T, registry prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	value, found := figure(t, registry, name, labels...)
	if !found {
		t.Errorf("got no %s%q, want one", name, labels)
	}
	return value
}
