package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// digestInterval is for how long deliveries of a kind are counted together.
	digestInterval = 10 * time.Second
	// ownLines is how many of them have a line of their own in that time.
	ownLines = 100
	// mostSorts bounds how many sorts there are: a peer may make up reasons.
	mostSorts = 100
)

// digest keeps deliveries that come to nothing from filling the log, as they do by the thousand in an outage. The first
// of a sort have a line each; the others are told together, every ten seconds. The attempts in the database have all.
type digest struct {
	log *slog.Logger

	mu    sync.Mutex
	sorts map[sort]*tally
}

// sort is what deliveries have in common that are told together.
type sort struct{ kind, code, means string }

type tally struct {
	told, untold int
	level        slog.Level
	timer        *time.Timer // rings when the interval is over
}

func newDigest(log *slog.Logger) *digest { return &digest{log: log, sorts: map[sort]*tally{}} }

// tells reports whether a delivery is to have a line of its own.
func (d *digest) tells(of sort, level slog.Level) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sorts[of] == nil && len(d.sorts) >= mostSorts {
		of.code = "OTHERS"
	}
	t := d.sorts[of]
	if t == nil {
		t = &tally{level: level}
		t.timer = time.AfterFunc(digestInterval, func() { d.interval(of, t) })
		d.sorts[of] = t
	}
	if t.told < ownLines {
		t.told++
		return true
	}
	t.untold++
	return false
}

// interval tells of a sort's deliveries since its lines were used up. Where there were none, it begins anew.
func (d *digest) interval(of sort, t *tally) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.sorts[of] != t: // stopped
	case t.untold == 0:
		delete(d.sorts, of)
	default:
		d.tell(of, t)
		t.timer.Reset(digestInterval)
	}
}

func (d *digest) tell(of sort, t *tally) {
	d.log.Log(context.Background(), t.level, "deliveries",
		"kind", of.kind, "code", of.code, "means", of.means, "deliveries", t.untold)
	t.told, t.untold = 0, 0
}

// stop tells what was not told yet.
func (d *digest) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for of, t := range d.sorts {
		t.timer.Stop()
		if t.untold > 0 {
			d.tell(of, t)
		}
	}
	clear(d.sorts)
}
