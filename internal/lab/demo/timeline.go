package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/follow"
	"hosho/internal/story"
	"hosho/internal/terminal"
	"hosho/internal/wait"
)

// timeline tells the story of orders as the daemons tell it: each of their events that is about an order that is
// watched, a moment after it happened, in the order in which all of them did.
type timeline struct {
	screen *terminal.Terminal
	start  time.Time
	lines  *follow.Order[line]
	heard  wait.Bell // rings when a daemon has told something

	mu      sync.Mutex
	watched map[string]bool
	early   map[string][]line // of ids that nobody watches yet: an event may be faster than the reply
	told    map[string]int64  // by process, the sequence of the last event that it has told
}

// line is a line of the story.
type line struct {
	at                time.Time
	who, status, text string
}

func newTimeline(screen *terminal.Terminal) *timeline {
	t := &timeline{
		screen: screen, start: time.Now(), heard: wait.NewBell(),
		watched: map[string]bool{}, early: map[string][]line{}, told: map[string]int64{},
	}
	t.lines = follow.NewOrder(t.print)
	return t
}

// Watch shows everything that is known of an order, and all that follows.
func (t *timeline) Watch(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched[id] = true
	for _, l := range t.early[id] {
		t.lines.Add(l.at, l)
	}
	delete(t.early, id)
}

// hear takes in the news of a daemon.
func (t *timeline) hear(n follow.News) {
	defer t.heard.Ring()
	if n.Missed != 0 && n.Missed != follow.Unknown {
		t.Note(n.Daemon, "", fmt.Sprintf("%d events were missed", n.Missed))
	}
	for _, e := range n.Events {
		t.observe(n.Daemon, e)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range n.Events {
		t.told[n.Process] = e.GetSequence()
	}
}

// observe takes in an event.
func (t *timeline) observe(daemon string, e *eventv1.Event) {
	id := story.EventOf(e)
	if id == "" {
		return
	}
	l := line{at: e.GetCreateTime().AsTime(), who: daemon, text: story.EventLine(e)}
	if e.GetOrder() != nil {
		l.status = story.Status(e.GetOrder().GetTo())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watched[id] {
		t.lines.Add(l.at, l)
	} else {
		t.early[id] = append(t.early[id], l)
	}
}

// await waits until a process has told what it had noted at some moment.
func (t *timeline) await(ctx context.Context, process string, sequence int64) error {
	for t.toldBy(process) < sequence {
		select {
		case <-t.heard:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (t *timeline) toldBy(process string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.told[process]
}

// Note puts a line of our own into the story.
func (t *timeline) Note(who, status, text string) {
	l := line{time.Now(), who, status, text}
	t.lines.Add(l.at, l)
}

func (t *timeline) print(l line) {
	t.screen.Line("  %s  %-8s  %s  %s",
		t.screen.Paint(terminal.Dim, fmt.Sprintf("%7.3fs", l.at.Sub(t.start).Seconds())), l.who,
		t.screen.Paint(statusStyle(l.status), fmt.Sprintf("%-10s", l.status)), l.text)
}

func statusStyle(status string) terminal.Style {
	switch status {
	case "COMPLETED":
		return terminal.Green
	case "CANCELLING", "PENDING":
		return terminal.Yellow
	case "CANCELLED":
		return terminal.Bold
	}
	return terminal.Plain
}
