package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// gcPercent has the garbage collector run when the heap is nine times what was in use, instead of twice. A daemon
	// has little in use and makes much garbage, and each run makes the stacks of those who wait smaller, which grow
	// again: 400 made a call among a thousand dearer by a sixth, and 1600 makes it no cheaper.
	gcPercent = 800
	// memoryLimit is from where on it runs more often than that. A daemon takes 200 MB at most, whatever its clients
	// do: by gcPercent alone 22 MB in use would be those, and what is not the heap's, such as stacks that were large
	// once and the program itself, comes on top. It is no hard limit: what is in use is never refused.
	memoryLimit = 144 << 20
	// headroom says by which part of what is in use the limit stays above it: a quarter. Without, a daemon that has ten
	// thousand watchers, and so more in use than memoryLimit, would collect garbage all the time and do little else.
	headroom = 4
	// goProfileRate is of how many bytes the run time notes where one was asked for, for the profile of the heap, and
	// profileRate of how many it does here: under load Go's was a hundredth of all that a daemon did, and is finer than
	// the search for a leak needs.
	goProfileRate, profileRate = 512 << 10, 4 << 20
)

// tuneProfile sets how fine the profile of the heap is, unless GODEBUG's memprofilerate has.
func tuneProfile() {
	if runtime.MemProfileRate == goProfileRate {
		runtime.MemProfileRate = profileRate
	}
}

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
	const objects = "/memory/classes/heap/objects:bytes" // with the garbage since the collection
	garbage := bytesOf(objects) - bytesOf("/gc/heap/live:bytes")
	spare := bytesOf("/memory/classes/heap/free:bytes") + bytesOf("/memory/classes/heap/released:bytes")
	return bytesOf("/memory/classes/total:bytes") - garbage - spare
}

// bytesOf returns one of the run time's metrics.
func bytesOf(name string) int64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
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
