package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
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
		stop := tuneCollector(func(name string) string { return test.environment[name] })
		got := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
		metrics.Read(got)
		stop()
		if got[0].Value.Uint64() != test.percent || got[1].Value.Uint64() != test.limit {
			t.Errorf("%v: got %d %% and %d bytes, want %d %% and %d", test.environment,
				got[0].Value.Uint64(), got[1].Value.Uint64(), test.percent, test.limit)
		}
	}
}

// More is in use than the limit, as with ten thousand watchers: a collector that ran as often as it takes would do
// little else. Not in parallel: the limit is the process's.
func TestTheMemoryLimitStaysAboveWhatIsInUse(t *testing.T) {
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	stop := tuneCollector(func(string) string { return "" })
	defer stop()
	inUse := make([]byte, memoryLimit)
	collect(t, func(limit int64) bool { return limit > memoryLimit+memoryLimit/headroom })
	runtime.KeepAlive(inUse)
	collect(t, func(limit int64) bool { return limit == memoryLimit })
}

// collect has the collector run until the limit is as it should be.
func collect(t *testing.T, enough func(limit int64) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !enough(debug.SetMemoryLimit(-1)); runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("got a limit of %d bytes, want another", debug.SetMemoryLimit(-1))
		}
	}
}

// Not in parallel: the rate is the process's.
func TestTheHeapProfileIsAsFineAsTheEnvironmentSays(t *testing.T) {
	rate := runtime.MemProfileRate
	t.Cleanup(func() { runtime.MemProfileRate = rate })
	for given, want := range map[int]int{goProfileRate: profileRate, 0: 0, 1: 1} {
		runtime.MemProfileRate = given
		if tuneProfile(); runtime.MemProfileRate != want {
			t.Errorf("one of %d bytes: got %d, want %d", given, runtime.MemProfileRate, want)
		}
	}
}
