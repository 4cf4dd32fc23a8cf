package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/plain"
	"hosho/internal/span"
	"hosho/internal/terminal"
	"hosho/internal/wait"
)

// transportFlag is the flag of who runs a system of his own.
type transportFlag struct {
	Transport string `enum:"${transports}" default:"grpc" help:"What carries commands: ${enum}. A broker is run along."`
}

type brokerVerbs struct {
	Setup brokerSetup `cmd:"" help:"Make the topics of the saga, or what they lack."`
	Check brokerCheck `cmd:"" help:"Tell what the topics of the saga can promise."`
}

// topics are the flags of who looks at those of the saga.
type topics struct {
	connect.Flags

	Retention time.Duration `default:"24h" help:"How long a topic keeps what nobody has fetched, 1h at least."`
	Replicas  int           `default:"1" help:"On how many servers of a cluster each topic is."`
	Wait      time.Duration `default:"30s" help:"How long the broker may take to be there and to answer."`
}

// Validate is called by kong.
func (t *topics) Validate() error {
	if !t.Given() {
		return errors.New("--broker-url (SAGACTL_BROKER_URL) is missing: want the broker's URL, as the file env of " +
			"\"sagactl up --transport nats\" sets it")
	}
	if t.Replicas < 1 {
		return fmt.Errorf("--replicas: got %d, want at least 1", t.Replicas)
	}
	if t.Wait <= 0 {
		return fmt.Errorf("--wait: got %s, want more than 0s", t.Wait)
	}
	_, err := t.plan()
	return errors.Join(err, t.Flags.Validate())
}

func (t *topics) plan() (broker.Plan, error) {
	plan, err := broker.PlanOf(t.BrokerPrefix, t.Retention, t.Replicas)
	if err != nil {
		return plan, fmt.Errorf("--%w", err)
	}
	return plan, nil
}

type brokerSetup struct{ topics }

// Run makes the topics. What is there stays, with all that is on it.
func (b *brokerSetup) Run(ctx context.Context, screen *terminal.Terminal) error {
	return b.ask(ctx, screen, broker.Broker.Declare)
}

type brokerCheck struct{ topics }

// Run changes nothing.
func (b *brokerCheck) Run(ctx context.Context, screen *terminal.Terminal) error {
	return b.ask(ctx, screen, broker.Broker.Check)
}

// ask asks a broker something about the topics, and prints what they can promise.
func (t *topics) ask(ctx context.Context, screen *terminal.Terminal,
	question func(broker.Broker, context.Context, broker.Plan) ([]broker.Promise, error),
) error {
	plan, err := t.plan()
	if err != nil {
		return err
	}
	connection, err := t.Open("sagactl", slog.New(slog.NewTextHandler(os.Stderr, nil)), nil)
	if err != nil {
		return err
	}
	defer connection.Close()
	promises, err := t.insist(ctx, connection, func(ctx context.Context) ([]broker.Promise, error) {
		return question(connection, ctx, plan)
	})
	for _, p := range promises {
		screen.Line("%s", screen.Paint(terminal.Bold, p.Topic))
		for _, fact := range p.Facts {
			screen.Line("  %s", fact)
		}
		for _, otherwise := range p.Otherwise {
			screen.Line("  %s", otherwise)
		}
		for _, unsafe := range p.Unsafe {
			screen.Line("  %s %s", screen.Paint(terminal.Yellow, "unsafe:"), unsafe)
		}
	}
	return err
}

const (
	// noticeAfter is how long nothing is said about a wait.
	noticeAfter = time.Second
	// askEvery is the wait before a broker is asked again.
	askEvery = 500 * time.Millisecond
)

// insist asks again and again, until there is an answer or Wait is over, and says what it waits for. A flaw is an
// answer, with what there is all the same, and so is that the user is not known: no time mends it.
func (t *topics) insist(
	ctx context.Context, connection broker.Broker, ask func(context.Context) ([]broker.Promise, error),
) ([]broker.Promise, error) {
	patient, cancel := context.WithTimeout(ctx, t.Wait)
	defer cancel()
	var latest atomic.Pointer[error]
	notice := time.AfterFunc(noticeAfter, func() { t.tellWait(connection.Away(), latest.Load()) })
	defer notice.Stop()
	for {
		promises, err := ask(patient)
		if err == nil {
			return promises, nil
		}
		if flaw, ok := errors.AsType[*broker.Flaw](err); ok {
			return promises, finding(flaw.Error())
		}
		if broker.IsDenied(err) {
			return nil, err
		}
		if latest.Load() == nil || !errors.Is(err, context.DeadlineExceeded) { // which would say less
			latest.Store(&err)
		}
		if patient.Err() != nil {
			return nil, fmt.Errorf("%w; gave up after %s (--wait)", *latest.Load(), span.Text(t.Wait))
		}
		wait.For(patient, askEvery)
	}
}

// tellWait says for what sagactl waits, why, and how long at most.
func (t *topics) tellWait(away error, latest *error) {
	why := errors.New("it has not answered yet")
	switch {
	case away != nil:
		why = away
	case latest != nil:
		why = *latest
	}
	addresses, _ := t.Addresses() // those that were connected to
	fmt.Fprintf(os.Stderr, "sagactl: waiting for %s, %s at most (--wait): %s\n", strings.Join(addresses, ","),
		span.Text(t.Wait), plain.Text(why.Error()))
}
