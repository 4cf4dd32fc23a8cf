package load

import "runtime/debug"

// collectorPercent lets the heap be eleven times what is in use, which is a few megabytes.
const collectorPercent = 1000

// CollectRarely has the garbage collector of this process run rarely, until it is undone. Whoever makes load makes much
// garbage and has little in use, so that by Go's default the collector takes as much of the machine as the calls: what
// is measured beside it was a third slower.
func CollectRarely() (undo func()) {
	before := debug.SetGCPercent(collectorPercent)
	return func() { debug.SetGCPercent(before) }
}
