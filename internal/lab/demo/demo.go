// Package demo plays a handful of orders on the whole system: paid, declined, lost, given up, cancelled.
//
// Its promise: what it shows is what the daemons log and what the databases hold. Each order must end as its scene
// says, and at the end both databases are read to prove it. The same orders the naive way show what that leaves behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/proc"
	"hosho/internal/terminal"
)

// Config says how the orders are played.
type Config struct {
	Naive          bool // call the payment service, and cancel on any error
	NoCompensation bool // with Naive: do not even cancel
	TLS            bool // certificates for everybody, and a policy
}

// player puts a scene on the stage and returns how it ended.
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

// Run plays every scene on a system of its own, then reads both databases. It reports whether every order ended as it
// must and the databases agree; an error means that the demo could not be played.
func Run(ctx context.Context, screen *terminal.Terminal, config Config) (holds bool, err error) {
	screen.Line("%s", screen.Paint(terminal.Bold, "hosho: an order service and a payment service, a database each"))
	story := newTimeline(screen)
	system, err := startPrivate(ctx, screen, story, config.TLS)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, system.stop()) }()
	p, err := newPlayer(ctx, system.Stack, story, config)
	if err != nil {
		return false, err
	}
	asPlanned, err := playAll(ctx, screen, story, p)
	if err != nil {
		return false, err
	}
	return prove(ctx, screen, system.Stack, asPlanned)
}

func newPlayer(ctx context.Context, system *stack.Stack, story *timeline, config Config) (player, error) {
	if config.Naive {
		return newNaive(ctx, system, story, !config.NoCompensation)
	}
	return newSaga(system, story)
}

// playAll reports whether every scene ended as it must.
func playAll(ctx context.Context, screen *terminal.Terminal, story *timeline, p player) (bool, error) {
	story.start = time.Now()
	asPlanned := true
	for _, s := range scenes {
		screen.Line("\n%s", screen.Paint(terminal.Bold, fmt.Sprintf("%d JPY: %s", s.amount, s.title)))
		got, err := p.play(ctx, s)
		if err != nil {
			return false, fmt.Errorf("the order of %d: %w", s.amount, err)
		}
		asPlanned = review(screen, s, got) && asPlanned
	}
	return asPlanned, nil
}

// review says how a scene ended, and reports whether that is how it must end.
func review(screen *terminal.Terminal, s scene, got ending) bool {
	want := ending{s.status, s.reason, s.payment}
	if got == want {
		screen.Line("  %s", screen.Paint(terminal.Green, "ok: "+got.String()))
		return true
	}
	screen.Line("  %s", screen.Paint(terminal.Red, "WRONG: "+got.String()+"; it must end "+want.String()))
	return false
}

// private is a system of its own in a directory of its own.
type private struct {
	*stack.Stack
	folder *proc.Folder
}

// startPrivate builds the daemons and runs a system for the length of the demo.
func startPrivate(ctx context.Context, screen *terminal.Terminal, story *timeline, tls bool) (*private, error) {
	folder, err := stack.NewFolder("demo")
	if err != nil {
		return nil, err
	}
	system, err := runPrivate(ctx, folder.Path(), screen, story, tls)
	if err != nil {
		return nil, errors.Join(err, folder.Remove())
	}
	return &private{system, folder}, nil
}

func runPrivate(
	ctx context.Context, dir string, screen *terminal.Terminal, story *timeline, tls bool,
) (*stack.Stack, error) {
	progress := func(step string) { screen.Line("  %s", screen.Paint(terminal.Dim, step)) }
	progress(stack.Building)
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin); err != nil {
		return nil, err
	}
	return stack.Start(ctx, stack.Config{
		Bin: bin, Dir: filepath.Join(dir, "data"), Durable: true, Relays: 1, Roles: true, Simulate: stack.Simulate,
		TLS:      tls,
		LogTo:    story.logOf,
		Progress: progress,
	})
}

func (p *private) stop() error {
	return errors.Join(p.Stop(), p.folder.Remove())
}
