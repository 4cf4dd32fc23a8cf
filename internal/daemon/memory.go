package daemon

import "runtime/debug"

const (
	// gcPercent has the garbage collector run when the heap is five times what was in use, instead of twice. A daemon
	// has little in use and makes much garbage: with a thousand callers, a fifth more orders are settled and above.
	gcPercent = 400
	// memoryLimit is from where on it runs as often as it takes. A daemon takes 200 MB at most, whatever its clients
	// do: by gcPercent alone 40 MB in use would be those, and what is not the heap's, such as stacks that were large
	// once and the program itself, comes on top. It is no hard limit: what is in use is never refused.
	memoryLimit = 144 << 20
)

// tuneCollector sets what the environment does not.
func tuneCollector(environment func(name string) string) {
	if environment("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if environment("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
