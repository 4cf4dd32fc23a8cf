package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/terminal"
	"hosho/internal/wait"
)

// timeline tells the story of orders as the daemons' logs tell it: each line that bears the id of an order that is
// watched, the moment it is written.
type timeline struct {
	screen *terminal.Terminal
	start  time.Time

	mu      sync.Mutex
	watched map[string]bool
	early   map[string][]entry   // of ids that nobody watches yet: a log may be faster than the reply
	tried   map[string]wait.Bell // rings when a delivery of the order was tried
}

func newTimeline(screen *terminal.Terminal) *timeline {
	return &timeline{
		screen: screen, start: time.Now(),
		watched: map[string]bool{}, early: map[string][]entry{}, tried: map[string]wait.Bell{},
	}
}

// entry is one line of a daemon's log, as far as a story needs it.
type entry struct {
	Time      time.Time `json:"time"`
	Message   string    `json:"msg"`
	OrderID   string    `json:"order_id"`
	PaymentID string    `json:"payment_id"`
	Kind      string    `json:"kind"`
	Status    string    `json:"status"`
	Reason    string    `json:"reason"`
	Cause     string    `json:"cause"`
	Code      string    `json:"code"`
	Means     string    `json:"means"`
	Event     string    `json:"event"`
	RetryIn   string    `json:"retry_in"`
	daemon    string
}

// Watch shows everything that is known of an order, and all that follows.
func (t *timeline) Watch(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched[id] = true
	early := t.early[id]
	slices.SortStableFunc(early, func(a, b entry) int { return a.Time.Compare(b.Time) })
	for _, e := range early {
		t.show(e)
	}
	delete(t.early, id)
}

// observe takes in a line of a log.
func (t *timeline) observe(e entry) {
	id := e.OrderID
	if id == "" {
		id = e.PaymentID
	}
	if id == "" || e.Message == "rpc" {
		return
	}
	if e.Message == "delivery" {
		t.triedOf(id).Ring()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watched[id] {
		t.show(e)
	} else {
		t.early[id] = append(t.early[id], e)
	}
}

// AwaitDelivery waits until the relay has tried to deliver a command of the order, with whatever result.
func (t *timeline) AwaitDelivery(ctx context.Context, id string) error {
	select {
	case <-t.triedOf(id):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// triedOf returns the bell that rings when an order's delivery was tried.
func (t *timeline) triedOf(id string) wait.Bell {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tried[id] == nil {
		t.tried[id] = wait.NewBell()
	}
	return t.tried[id]
}

// Note prints a line of our own into the story.
func (t *timeline) Note(who, status, text string) {
	t.print(time.Now(), who, status, text)
}

func (t *timeline) show(e entry) {
	switch e.Message {
	case "delivery":
		text := fmt.Sprintf("%s -> %s: %s", e.Kind, e.Code, e.Event)
		if e.RetryIn != "" {
			text += ", again in " + e.RetryIn
		}
		t.print(e.Time, e.daemon, "", text)
	case "payment":
		status := e.Status
		if status == "" {
			status = e.Code
		}
		t.print(e.Time, e.daemon, "", e.Kind+": "+status)
	case "order":
		text := e.Cause
		if e.Reason != "" {
			text += ", reason " + e.Reason
		}
		t.print(e.Time, e.daemon, e.Status, text)
	}
}

func (t *timeline) print(at time.Time, daemon, status, text string) {
	t.screen.Line("  %s  %-8s  %s  %s",
		t.screen.Paint(terminal.Dim, fmt.Sprintf("%7.3fs", at.Sub(t.start).Seconds())), daemon,
		t.screen.Paint(statusStyle(status), fmt.Sprintf("%-10s", status)), text)
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

// logOf returns a writer that takes in the log of a daemon.
func (t *timeline) logOf(daemon string) io.Writer {
	return stack.Lines(func(line []byte) {
		e := entry{daemon: daemon}
		if json.Unmarshal(line, &e) == nil { // a panic's stack is no JSON, and no part of the story
			t.observe(e)
		}
	})
}
