// Package reload keeps what was made of files, and makes it anew when they change.
//
// Its promise: what is in use is what one reading of all files made, the last that was good. What is no good is told
// once and counted, and never used. It is the contents that are compared: a link that is swapped, as Kubernetes does
// it, changes no file.
package reload

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/wait"
)

// Make makes something of what files hold, in their order, at a time. old is what is in use; the zero value at first.
type Make[T any] func(contents [][]byte, old T, now time.Time) (T, error)

// Kept is what was made of files.
type Kept[T any] struct {
	what    string
	files   []string
	make    Make[T]
	log     *slog.Logger
	asked   wait.Bell // somebody wants them looked at now
	current atomic.Pointer[T]

	taken [][]byte // what current was made of
	told  string   // what was wrong at the last look; empty: nothing

	changes changes
}

// Open reads files. What is wrong with them is its error. what names them in the log and in the metrics: "certificate".
func Open[T any](what string, log *slog.Logger, make Make[T], files ...string) (*Kept[T], error) {
	k := &Kept[T]{what: what, files: files, make: make, log: log, asked: wait.NewBell(), changes: newChanges(what)}
	contents, err := k.read()
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	var none T
	first, err := make(contents, none, time.Now())
	if err != nil {
		return nil, err
	}
	k.taken = contents
	k.current.Store(&first)
	return k, nil
}

// Load returns what is in use.
func (k *Kept[T]) Load() T { return *k.current.Load() }

// Register shows how many changes were taken, and how many refused.
func (k *Kept[T]) Register(registry *prometheus.Registry) { registry.MustRegister(k.changes.total) }

// every is how often files are looked at.
const every = 10 * time.Second

// Run looks at the files again and again, until ctx ends.
func (k *Kept[T]) Run(ctx context.Context) {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-k.asked:
		}
		k.Look(time.Now())
	}
}

// Now has Run look at the files at once.
func (k *Kept[T]) Now() { k.asked.Ring() }

// Look takes what is in the files now, if it is good, and reports whether that is another than before. What is wrong
// with it is told once: it may become good without another change, as a certificate does when its time has come.
func (k *Kept[T]) Look(now time.Time) (changed bool) {
	contents, err := k.read()
	if err == nil && slices.EqualFunc(contents, k.taken, bytes.Equal) {
		if k.told != "" {
			k.log.Info("the files are good again", "what", k.what)
		}
		k.told = ""
		return false
	}
	var next T
	if err == nil {
		next, err = k.make(contents, k.Load(), now)
	}
	if err != nil {
		if text := err.Error(); text != k.told {
			k.told = text
			k.changes.refused.Inc()
			k.log.Error("a changed file is no good: the old one is used", "what", k.what, "error", err)
		}
		return false
	}
	k.taken, k.told = contents, ""
	k.current.Store(&next)
	k.changes.taken.Inc()
	k.log.Info("a file changed, and is used", "what", k.what)
	return true
}

// readings is how often files are read that somebody is changing.
const readings = 3

// read reads the files until two readings are the same: who swaps them may be between two of them.
func (k *Kept[T]) read() (contents [][]byte, err error) {
	for range readings {
		before := contents
		contents = nil
		for _, file := range k.files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			contents = append(contents, text)
		}
		if before != nil && slices.EqualFunc(before, contents, bytes.Equal) {
			break
		}
	}
	return contents, nil
}
