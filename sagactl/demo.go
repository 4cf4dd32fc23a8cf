package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"hosho/internal/lab/stack"
)

type demo struct {
	Naive          bool `help:"Run the same orders the naive way: call the payment service, and cancel on any error. Shows what that leaves behind, and exits 1."`
	NoCompensation bool `help:"With --naive: do not even cancel."`
}

// Validate is called by kong.
func (d *demo) Validate() error {
	if d.NoCompensation && !d.Naive {
		return errors.New("--no-compensation goes with --naive: the saga always compensates")
	}
	return nil
}

// player puts a scene on the stage and answers how it ended.
type player interface {
	play(ctx context.Context, s scene) (ending, error)
}

// ending is how an order ended.
type ending struct{ status, reason, payment string }

func (e ending) String() string {
	text := e.status
	if e.reason != "" {
		text += " (" + e.reason + ")"
	}
	if e.payment == "" {
		return text + ", no payment"
	}
	return text + ", payment " + e.payment
}

// Run plays every scene, then reads both databases and proves that they agree.
func (d *demo) Run(ctx context.Context) (err error) {
	screen := newTerminal(os.Stdout)
	screen.line("%s", screen.paint(bold, "hosho: an order service and a payment service, a database each"))
	story := newTimeline(screen)
	system, err := startPrivate(ctx, screen, story)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.stop()) }()

	var p player
	if d.Naive {
		p, err = newNaive(ctx, system.Stack, story, !d.NoCompensation)
	} else {
		p, err = newSaga(system.Stack, story)
	}
	if err != nil {
		return err
	}
	story.start = time.Now()
	asPlanned := true
	for _, s := range scenes {
		screen.line("\n%s", screen.paint(bold, fmt.Sprintf("%d JPY: %s", s.amount, s.title)))
		got, err := p.play(ctx, s)
		if err != nil {
			return fmt.Errorf("the order of %d: %w", s.amount, err)
		}
		asPlanned = review(screen, s, got) && asPlanned
	}
	return prove(ctx, screen, system.Stack, asPlanned)
}

// review says how a scene ended, and whether that is how it must end.
func review(screen *terminal, s scene, got ending) bool {
	want := ending{s.status, s.reason, s.payment}
	if got == want {
		screen.line("  %s", screen.paint(green, "ok: "+got.String()))
		return true
	}
	screen.line("  %s", screen.paint(red, "WRONG: "+got.String()+"; it must end "+want.String()))
	return false
}

// private is a system of its own in a directory of its own.
type private struct {
	*stack.Stack
	dir string
}

// startPrivate builds the daemons and runs a system for the length of the demo.
func startPrivate(ctx context.Context, screen *terminal, story *timeline) (*private, error) {
	dir, err := os.MkdirTemp("", "hosho-demo-")
	if err != nil {
		return nil, err
	}
	system, err := runPrivate(ctx, dir, screen, story)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return system, nil
}

func runPrivate(ctx context.Context, dir string, screen *terminal, story *timeline) (*private, error) {
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		return nil, err
	}
	progress := func(step string) { screen.line("  %s", screen.paint(dim, step)) }
	progress("building orderd, paymentd and relay")
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin); err != nil {
		return nil, err
	}
	system, err := stack.Start(ctx, stack.Config{
		Bin: bin, Dir: filepath.Join(dir, "data"), Durable: true, Relays: 1, Simulate: stack.Simulate,
		LogTo:    func(daemon string) io.Writer { return story.logOf(daemon) },
		Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	return &private{system, dir}, nil
}

func (p *private) stop() error {
	return errors.Join(p.Stop(), os.RemoveAll(p.dir))
}
