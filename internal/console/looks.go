package console

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"hosho/internal/plain"
	"hosho/internal/reconcile"
)

const (
	longestLook = 30 * time.Minute
	mostShown   = 20 // findings of a class that are kept: what is more nobody reads on a page
)

// look is one comparison of the two databases, as far as it has come.
type look struct {
	Who     string
	Began   time.Time
	Ended   time.Time // zero while it goes on
	Summary reconcile.Summary
	Shown   map[reconcile.Class][]reconcile.Finding // the first of each class
	Stopped bool                                    // somebody ended it
	Err     string                                  // why it did not come to its end; empty when it did
}

// Running reports whether it goes on.
func (l look) Running() bool { return !l.Began.IsZero() && l.Ended.IsZero() }

func (l look) ended(now time.Time) time.Time {
	if l.Running() {
		return now
	}
	return l.Ended
}

// looks are the comparisons that a console makes, one at a time. The last one is kept.
type looks struct {
	mu     sync.Mutex
	latest look
	cancel context.CancelFunc // ends the one that goes on
}

// last returns the last one, or the one that goes on.
func (l *looks) last() (latest look, any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest = l.latest
	latest.Shown, latest.Summary.Findings = maps.Clone(latest.Shown), maps.Clone(latest.Summary.Findings)
	return latest, !latest.Began.IsZero()
}

// begin begins one, unless one goes on: whoever asks then is shown that one. It outlives the request that began it.
func (l *looks) begin(
	who string, now time.Time, compare func(context.Context, *looks) (reconcile.Summary, error),
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest.Running() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestLook)
	l.latest, l.cancel = look{Who: who, Began: now, Shown: map[reconcile.Class][]reconcile.Finding{}}, cancel
	go func() {
		defer cancel()
		summary, err := compare(ctx, l)
		l.end(summary, err)
	}()
}

// stop ends the one that goes on.
func (l *looks) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest.Running() {
		l.latest.Stopped = true
		l.cancel()
	}
}

func (l *looks) end(summary reconcile.Summary, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest.Ended, l.latest.Summary = time.Now(), summary
	switch {
	case err == nil:
		l.latest.Stopped = false
	case errors.Is(err, context.DeadlineExceeded):
		l.latest.Err = "it took more than " + longestLook.String()
	default:
		l.latest.Err = plain.Text(err.Error())
	}
}

// found keeps a finding, as long as there are few of its class.
func (l *looks) found(f reconcile.Finding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if shown := l.latest.Shown[f.Class]; len(shown) < mostShown {
		l.latest.Shown[f.Class] = append(shown, plainly(f))
	}
	return nil
}

// sofar keeps how far it has come.
func (l *looks) sofar(s *reconcile.Summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest.Summary = *s
	l.latest.Summary.Findings = maps.Clone(s.Findings)
}
