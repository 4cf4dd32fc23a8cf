package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"hosho/internal/lab/proxy"
	"hosho/internal/lab/stack"
)

// part is what a fault takes for itself: two faults of one part would mend each other.
type part string

const (
	partPaymentd part = "paymentd"
	partRelay    part = "relay"
	partLink     part = "link"
)

var allParts = []part{partPaymentd, partRelay, partLink}

// fault is a way to break both worlds. Its end is called whenever its beginning was, and does nothing to what is whole.
type fault struct {
	name  string
	takes part
	begin func(*world) error
	end   func(context.Context, *world) error
}

var faults = []fault{
	{"kill-paymentd", partPaymentd, killPaymentd, startPaymentd},
	{"freeze-paymentd", partPaymentd, freezePaymentd, thawPaymentd},
	{"kill-relay", partRelay, killRelay, startRelay},
	{"lose-replies", partLink, loseReplies, dropAndHeal},
	{"partition", partLink, partition, heal},
}

func find(name string) (fault, error) {
	var names []string
	for _, f := range faults {
		if f.name == name {
			return f, nil
		}
		names = append(names, f.name)
	}
	return fault{}, fmt.Errorf("got the fault %q, want one of %s", name, strings.Join(names, ", "))
}

// killPaymentd also has a paymentd that has ended by other means started again, in the end.
func killPaymentd(w *world) error {
	w.paymentd.Kill()
	return nil
}

func startPaymentd(ctx context.Context, w *world) error { return start(ctx, w.paymentd) }

func freezePaymentd(w *world) error {
	if !runs(w.paymentd) {
		return fmt.Errorf("freeze %s: it does not run, or somebody else has started it", w.paymentd.Name)
	}
	w.paymentd.Signal(syscall.SIGSTOP)
	return nil
}

func thawPaymentd(_ context.Context, w *world) error {
	w.paymentd.Signal(syscall.SIGCONT)
	return nil
}

// killRelay takes the first one. The twin has none: whoever calls paymentd there remembers nothing anyway.
func killRelay(w *world) error {
	for _, relay := range w.relays[:min(1, len(w.relays))] {
		relay.Kill()
	}
	return nil
}

func startRelay(ctx context.Context, w *world) error {
	var err error
	for _, relay := range w.relays[:min(1, len(w.relays))] {
		err = errors.Join(err, start(ctx, relay))
	}
	return err
}

func loseReplies(w *world) error {
	w.links.set(proxy.Link{StallDown: true})
	return nil
}

// dropAndHeal loses for good what was held back: a reply that comes late is no lost one.
func dropAndHeal(_ context.Context, w *world) error {
	w.links.reset()
	w.links.set(proxy.Link{})
	return nil
}

func partition(w *world) error {
	w.links.set(proxy.Link{StallUp: true, StallDown: true})
	return nil
}

func heal(_ context.Context, w *world) error {
	w.links.set(proxy.Link{})
	return nil
}

// runs reports whether a daemon runs that was started here.
func runs(p *stack.Process) bool {
	select {
	case <-p.Exited():
		return false
	default:
		return true
	}
}

// start starts a daemon, unless it runs or the system is about to stop.
func start(ctx context.Context, p *stack.Process) error {
	if ctx.Err() != nil {
		return nil
	}
	if err := p.Start(); err != nil {
		return err
	}
	return p.WaitReady(ctx)
}
