package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	eventsv1 "hosho/gen/events/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/digest"
	"hosho/internal/envelope"
	"hosho/internal/inbox"
)

// judgeTimeout bounds how long the database may take to say whose events are acted on.
const judgeTimeout = 2 * time.Second

// consumer decides what order events ask for, as the commands of a stream are decided, and publishes what that came to.
//
// Its promise: an event is done with when the broker has confirmed what it came to, and not before. Whoever asks again
// is told again. What is only a matter of time, an outage or an overload, is answered nothing: the event comes again.
type consumer struct {
	*server

	broker  broker.Broker
	prefix  string // of the topics
	hanging *hanging
	ignored *ignored
	inbox   *inbox.Metrics
	going   context.Context // ends when nobody waits for what hangs any more

	unconfirmed digest.Outage // while outcomes cannot be published
}

// newConsumer makes a consumer of what is on a broker.
func newConsumer(s *server, b broker.Broker, prefix string, registry prometheus.Registerer) *consumer {
	c := &consumer{
		server: s, broker: b, prefix: prefix, hanging: newHanging(),
		ignored: newIgnored(registry), inbox: inbox.NewMetrics(registry),
	}
	c.pin.ring = c.ignored.ring
	return c
}

// run consumes until ctx ends; what is being decided then is decided and published, and what hangs is abandoned. The
// nil consumer has nothing to do.
func (c *consumer) run(ctx context.Context) {
	if c == nil {
		return
	}
	c.fitness.await(ctx)
	c.going = ctx
	defer c.hanging.running.Wait()
	inbox.Run(ctx, inbox.Config{
		Broker: c.broker, Topic: broker.Orders(c.prefix), Group: broker.Paymentd,
		Handle: c.handle, Ready: c.fitness.check, Metrics: c.inbox, Log: c.log,
	})
}

// tell logs what the broker's topics can promise.
func (c *consumer) tell(ctx context.Context) {
	if c != nil {
		connect.Tell(ctx, c.broker, c.prefix, c.log)
	}
}

// close ends the connection to the broker, after run has ended.
func (c *consumer) close() {
	if c != nil {
		c.broker.Close()
	}
}

// heard is an event that asks for something, and what is to become of it.
type heard struct {
	envelope.Letter

	key   string // the fact and the send
	hangs bool   // it was set aside
	fate  inbox.Fate
	ended time.Time // when its fate was known; zero: it is not yet. These two are guarded by hanging's mu
}

// handle decides what events ask for.
func (c *consumer) handle(ctx context.Context, events []broker.Event) []inbox.Verdict {
	arrived := time.Now()
	verdicts := make([]inbox.Verdict, len(events))
	letters := make([]*heard, len(events))
	var asking []*heard
	for i := range events {
		verdicts[i], letters[i] = c.read(events[i])
		if letters[i] != nil {
			asking = append(asking, letters[i])
		}
	}
	c.decideEvents(ctx, arrived, c.commands(ctx, asking))
	for i, h := range letters {
		if h != nil && !h.hangs {
			verdicts[i].Fate = h.fate
		}
	}
	return verdicts
}

// read returns what an event asks for, nil where it is clear what is to become of it.
func (c *consumer) read(e broker.Event) (inbox.Verdict, *heard) {
	letter, err := envelope.Open(envelope.Orders, e)
	switch {
	case errors.Is(err, envelope.ErrForeign):
		c.ignored.count(foreign)
		return inbox.Verdict{Fate: inbox.Done}, nil
	case err != nil:
		return inbox.Verdict{Fate: inbox.Dead, Why: err.Error()}, nil
	}
	key := fmt.Sprintf("%s %s#%d", e.Source, e.ID, letter.Send)
	if fate := c.hanging.fate(key); fate != 0 {
		return inbox.Verdict{Fate: fate}, nil
	}
	return inbox.Verdict{Fate: inbox.Later}, &heard{Letter: letter, key: key, fate: inbox.Later}
}

// commands returns what events ask for, but for those that are not to be acted on. While that cannot be told nothing is
// asked for.
func (c *consumer) commands(ctx context.Context, asking []*heard) []command {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	commands := make([]command, 0, len(asking))
	for _, h := range asking {
		asked := commandOf(h.Message)
		ours, why, err := c.pin.judge(ctx, h.Database, asked.meant)
		if err != nil {
			c.fitness.note(err)
			return nil
		}
		if why != "" {
			c.ignored.count(why)
			c.hanging.end(h, inbox.Done)
			continue
		}
		asked.meant, asked.traceparent, asked.heard = ours, h.Traceparent, h
		commands = append(commands, asked)
	}
	return commands
}

// commandOf reads what an event asks for.
func commandOf(m proto.Message) command {
	switch m := m.(type) {
	case *eventsv1.OrderPlaced:
		return fromCharge(&paymentv1.ChargePaymentRequest{
			PaymentId: m.GetOrderId(), CustomerId: m.GetCustomerId(), Amount: m.GetAmount(),
			NotAfter: m.GetDeadlineTime(), PaymentsDatabase: m.GetPaymentsDatabase(),
		})
	case *eventsv1.OrderCancelling:
		return fromVoid(&paymentv1.VoidPaymentRequest{
			PaymentId: m.GetOrderId(), CustomerId: m.GetCustomerId(), Amount: m.GetAmount(),
			PaymentsDatabase: m.GetPaymentsDatabase(),
		})
	}
	return command{refused: errNoCommand()}
}

// decideEvents decides commands, and publishes what they came to as soon as that is known.
func (c *consumer) decideEvents(ctx context.Context, arrived time.Time, commands []command) {
	if len(commands) == 0 {
		return
	}
	w := work{
		commands: commands, arrived: arrived, patience: c.patience,
		reply: c.traced(arrived, oteltrace.SpanKindConsumer, func(answers []answer) {
			c.publish(ctx, answers)
		}),
		charges: atOnce, lookups: waiting(c.lanes.lookups),
	}
	asked := c.decide(ctx, w)
	if asked == nil {
		return
	}
	for _, k := range asked.calls {
		if !k.done {
			c.hanging.add(k.command.heard)
		}
	}
	c.hanging.running.Go(func() {
		going, end := c.untilStop(c.going)
		defer end(nil)
		_ = c.await(ctx, going, w, asked) // what is abandoned comes again
	})
}
