package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"
)

const (
	probeWrites = 100
	probeTime   = 3 * time.Second // at most: a slow disk is seen by few
)

// probe returns how long the disk of a folder takes to keep 8 KiB, in the median. A disk that changes by ten times
// within minutes explains figures that nothing else does.
func probe(ctx context.Context, dir string) (median time.Duration, err error) {
	file, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	page := make([]byte, 8<<10)
	var took []time.Duration
	for began := time.Now(); len(took) < probeWrites && time.Since(began) < probeTime && ctx.Err() == nil; {
		page[0]++ // the same page again, as a log's are: the file does not grow, and its length is not written
		begin := time.Now()
		if _, err := file.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := datasync(file); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	if len(took) == 0 {
		return 0, ctx.Err()
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
