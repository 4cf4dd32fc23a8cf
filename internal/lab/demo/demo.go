// Package demo plays a handful of orders on the whole system: paid, declined, lost, given up, cancelled.
//
// Its promise: what it shows is what the daemons tell and what the databases hold. Each order must end as its scene
// says, and at the end both databases are read to prove it. The same orders the naive way show what that leaves behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"hosho/internal/lab/stack"
	"hosho/internal/proc"
	"hosho/internal/terminal"
)

// Config says how the orders are played.
type Config struct {
	Naive          bool // call the payment service, and cancel on any error
	NoCompensation bool // with Naive: do not even cancel
	TLS            bool // certificates for everybody, and a policy

	Transport string // what commands travel by, as stack.Config has it
}

// overBroker reports whether there is a broker between the relay and paymentd.
func (c Config) overBroker() bool { return c.Transport != "" && c.Transport != stack.Calls }

// Player plays scenes in one world.
type Player interface {
	// Play returns how the scene's order ended. An error may leave paymentd as the scene's outage left it.
	Play(ctx context.Context, s Scene) (Ending, error)
	Close() error
}

// Story is told what players do.
type Story interface {
	Note(who, status, text string) // what a player did; the status is the order's, or empty
	Watch(orderID string)          // this order is the scene's
}

// Run plays every scene on a system of its own, then reads both databases. It reports whether every order ended as it
// must and the databases agree; an error means that the demo could not be played.
func Run(ctx context.Context, screen *terminal.Terminal, config Config) (holds bool, err error) {
	screen.Line("%s", screen.Paint(terminal.Bold, title(config)))
	system, err := startPrivate(ctx, screen, config)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, system.stop()) }()
	story := newTimeline(screen)
	events, err := followAll(ctx, system.Stack, story)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, events.close()) }()
	p, err := newPlayer(ctx, system.Stack, story, config)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	scenes := Scenes()
	if config.overBroker() {
		scenes = append(scenes, OverBroker())
	}
	asPlanned, err := playAll(ctx, screen, events, p, scenes)
	if err != nil {
		return false, err
	}
	return prove(ctx, screen, system.Stack, asPlanned)
}

func title(config Config) string {
	const what = "hosho: an order service and a payment service, a database each"
	if config.overBroker() {
		return what + ", and a broker between them: " + config.Transport
	}
	return what
}

func newPlayer(ctx context.Context, system *stack.Stack, story Story, config Config) (Player, error) {
	if !config.Naive {
		return NewSaga(system, story)
	}
	return NewNaive(ctx, NaiveConfig{
		OrdersURL: system.OrdersURL(), PaymentsURL: system.PaymentsURL(), Paymentd: system.Paymentd,
		Dial:       func() (*grpc.ClientConn, error) { return system.Dial(system.Paymentd, "relay") },
		Compensate: !config.NoCompensation,
	}, story)
}

// playAll reports whether every scene ended as it must.
func playAll(
	ctx context.Context, screen *terminal.Terminal, events *events, p Player, scenes []Scene,
) (bool, error) {
	events.story.start = time.Now()
	asPlanned := true
	for _, s := range scenes {
		screen.Line("\n%s", screen.Paint(terminal.Bold, fmt.Sprintf("%d JPY: %s", s.Amount, s.Title)))
		got, err := p.Play(ctx, s)
		if err != nil {
			return false, fmt.Errorf("the order of %d: %w", s.Amount, err)
		}
		if err := events.settle(ctx); err != nil {
			return false, fmt.Errorf("the events of the order of %d: %w", s.Amount, err)
		}
		asPlanned = review(screen, s, got) && asPlanned
	}
	return asPlanned, nil
}

// review says how a scene ended, and reports whether that is how it must end.
func review(screen *terminal.Terminal, s Scene, got Ending) bool {
	if got == s.Ends {
		screen.Line("  %s", screen.Paint(terminal.Green, "ok: "+got.String()))
		return true
	}
	screen.Line("  %s", screen.Paint(terminal.Red, "WRONG: "+got.String()+"; it must end "+s.Ends.String()))
	return false
}

// private is a system of its own in a directory of its own.
type private struct {
	*stack.Stack
	folder *proc.Folder
}

// startPrivate builds the daemons and runs a system for the length of the demo.
func startPrivate(ctx context.Context, screen *terminal.Terminal, config Config) (*private, error) {
	folder, err := stack.NewFolder("demo")
	if err != nil {
		return nil, err
	}
	system, err := runPrivate(ctx, folder.Path(), screen, config)
	if err != nil {
		return nil, errors.Join(err, folder.Remove())
	}
	return &private{system, folder}, nil
}

func runPrivate(
	ctx context.Context, dir string, screen *terminal.Terminal, config Config,
) (*stack.Stack, error) {
	progress := func(step string) { screen.Line("  %s", screen.Paint(terminal.Dim, step)) }
	progress(stack.Building)
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin); err != nil {
		return nil, err
	}
	return stack.Start(ctx, stack.Config{
		Bin: bin, Dir: filepath.Join(dir, "data"), Durable: true, Relays: 1, Roles: true, Simulate: stack.Simulate,
		TLS: config.TLS, Transport: config.Transport, InstalledBroker: true,
		Progress: progress,
	})
}

func (p *private) stop() error {
	return errors.Join(p.Stop(), p.folder.Remove())
}
