package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// gcPercent has the garbage collector run when the heap is five times what was in use, instead of twice. A daemon
	// has little in use and makes much garbage: with a thousand callers, a fifth more orders are settled and above.
	gcPercent = 400
	// memoryLimit is from where on it runs more often than that. A daemon takes 200 MB at most, whatever its clients
	// do: by gcPercent alone 40 MB in use would be those, and what is not the heap's, such as stacks that were large
	// once and the program itself, comes on top. It is no hard limit: what is in use is never refused.
	memoryLimit = 144 << 20
	// headroom is the share of what is in use that the limit stays above it. Without, a daemon that has ten thousand
	// watchers, and so more in use than memoryLimit, would collect garbage all the time and do little else.
	headroom = 4
)

// tuneCollector sets what the environment does not, until stop is called.
func tuneCollector(environment func(name string) string) (stop func()) {
	if environment("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if environment("GOMEMLIMIT") != "" {
		return func() {}
	}
	debug.SetMemoryLimit(memoryLimit)
	return afterEachCollection(func() { debug.SetMemoryLimit(limitFor(inUse())) })
}

// limitFor returns the limit where so many bytes are in use.
func limitFor(inUse int64) int64 { return max(memoryLimit, inUse+inUse/headroom) }

// inUse returns how many bytes of what the limit counts are no garbage, and cannot be given back.
func inUse() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, // garbage too, since the collection
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	of := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return of(0) + of(1) - of(2) - of(3) - of(4)
}

// afterEachCollection calls do soon after each run of the collector, from the goroutine of finalizers, until stop is
// called.
func afterEachCollection(do func()) (stop func()) {
	type sentinel struct{ _ [16]byte } // an object of its own, which smaller ones may not be
	var (
		mu      sync.Mutex
		stopped bool
		again   func(*sentinel)
	)
	again = func(s *sentinel) {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			do()
			runtime.SetFinalizer(s, again)
		}
	}
	runtime.SetFinalizer(new(sentinel), again)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}
}
