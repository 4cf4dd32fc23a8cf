package daemon

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// The environment has the last word about each of the two. Not in parallel: they are the process's.
func TestTheCollectorIsTunedUnlessTheEnvironmentDoesIt(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	const other = 1 << 40
	for _, test := range []struct {
		environment    map[string]string
		percent, limit uint64
	}{
		{nil, gcPercent, memoryLimit},
		{map[string]string{"GOGC": "100"}, 100, memoryLimit},
		{map[string]string{"GOMEMLIMIT": "1TiB"}, gcPercent, other},
		{map[string]string{"GOGC": "100", "GOMEMLIMIT": "1TiB"}, 100, other},
	} {
		debug.SetGCPercent(100) // as the runtime has done it
		debug.SetMemoryLimit(other)
		tuneCollector(func(name string) string { return test.environment[name] })
		got := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
		metrics.Read(got)
		if got[0].Value.Uint64() != test.percent || got[1].Value.Uint64() != test.limit {
			t.Errorf("%v: got %d %% and %d bytes, want %d %% and %d", test.environment,
				got[0].Value.Uint64(), got[1].Value.Uint64(), test.percent, test.limit)
		}
	}
}
