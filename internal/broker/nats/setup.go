package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
)

const (
	// duplicates is how long the server knows what it was sent.
	duplicates = 2 * time.Minute
	// mostHeld is how much a group may hold at a time, all of its members together.
	mostHeld = 100_000
)

// Declare is broker.Broker's.
func (b *Broker) Declare(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	for _, topic := range plan.Topics {
		err := b.ask(ctx, func(ctx context.Context) error { return b.declare(ctx, plan, topic) })
		if err != nil {
			return nil, b.explained(err, topic.Name, "")
		}
	}
	return b.Check(ctx, plan)
}

// ask asks the server about a topic. While it is away it is not asked: the client would keep the question until it is
// back, as long as whoever asks may wait.
func (b *Broker) ask(ctx context.Context, question func(context.Context) error) error {
	if away := b.away(); away != nil {
		return away
	}
	ctx, cancel := b.whileConnected(ctx, askWithin)
	defer cancel()
	return question(ctx)
}

// declare makes a topic, or changes what a plan says and an operator has not. What is on it for longer stays.
func (b *Broker) declare(ctx context.Context, plan broker.Plan, topic broker.Topic) error {
	name := streamOf(topic.Name)
	stream, err := b.js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = b.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{topic.Name}, Storage: jetstream.FileStorage,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, MaxAge: plan.Retention,
			Duplicates: duplicates, Replicas: plan.Replicas,
		})
	case err == nil:
		c := stream.CachedInfo().Config
		c.Replicas = max(c.Replicas, plan.Replicas)
		if c.MaxAge != 0 {
			c.MaxAge = max(c.MaxAge, plan.Retention)
		}
		_, err = b.js.UpdateStream(ctx, c)
	}
	if err != nil {
		return err
	}
	for _, group := range topic.Groups {
		_, err := b.js.CreateOrUpdateConsumer(ctx, name, jetstream.ConsumerConfig{
			Durable: group, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1,
			MaxAckPending: mostHeld,
		})
		if err != nil {
			return fmt.Errorf("consumer %s: %w", group, err)
		}
	}
	return nil
}

// Check is broker.Broker's.
func (b *Broker) Check(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	promises := make([]broker.Promise, 0, len(plan.Topics))
	for _, topic := range plan.Topics {
		var promise broker.Promise
		var group string
		err := b.ask(ctx, func(ctx context.Context) (err error) {
			promise, group, err = b.check(ctx, plan, topic)
			return err
		})
		if err != nil {
			return nil, b.explained(err, topic.Name, group)
		}
		promises = append(promises, promise)
	}
	return promises, nil
}

// check tells what a topic can promise. With an error it returns the group that it is about.
func (b *Broker) check(
	ctx context.Context, plan broker.Plan, topic broker.Topic,
) (p broker.Promise, of string, err error) {
	stream, err := b.js.Stream(ctx, streamOf(topic.Name))
	if err != nil {
		return p, "", err
	}
	c := stream.CachedInfo().Config
	p = broker.Promise{Topic: topic.Name, Facts: []string{
		fmt.Sprintf("NATS %s, stream %s", b.conn.ConnectedServerVersion(), c.Name),
		fmt.Sprintf("replicas %d, storage %s, %s", c.Replicas, c.Storage, kept(c.MaxAge)),
	}}
	p.Unsafe = unsafeOf(c, plan)
	for _, group := range topic.Groups {
		consumer, err := b.js.Consumer(ctx, c.Name, group)
		if err != nil {
			return p, group, err
		}
		said := consumer.CachedInfo().Config
		if said.AckPolicy != jetstream.AckExplicitPolicy {
			return p, group, broker.Flawed("consumer %s: its acknowledgements are not explicit: delete it, and "+
				"sagactl broker setup makes it anew", group)
		}
		if said.MaxDeliver > 0 {
			p.Unsafe = append(p.Unsafe, fmt.Sprintf("the consumer %s gives an event up that it gave out %d times, and "+
				"tells nobody%s", group, said.MaxDeliver, cost))
		}
		p.Facts = append(p.Facts, fmt.Sprintf("consumer %s: unacknowledged for %v, an event is given out again",
			group, said.AckWait))
	}
	return p, "", nil
}

// cost ends all that is unsafe.
const cost = ": costs a resend, never money"

func unsafeOf(c jetstream.StreamConfig, plan broker.Plan) (all []string) {
	if c.Storage == jetstream.MemoryStorage {
		all = append(all, "it lies in memory: a server that is restarted has lost what it confirmed"+cost)
	} else {
		all = append(all, "it is confirmed before it is on the disk, unless the server has sync_interval: always, "+
			"which it tells nobody: a loss of power may take the last two minutes"+cost)
	}
	if c.Replicas < 2 {
		all = append(all, "one server has it: with its disk goes what it confirmed"+cost)
	}
	if c.NoAck {
		all = append(all, "the stream confirms nothing: every event is sent until its order is settled"+cost)
	}
	if c.MaxAge != 0 && c.MaxAge < plan.Retention {
		all = append(all, fmt.Sprintf("what nobody has fetched for %v is dropped, want %v%s", c.MaxAge, plan.Retention,
			cost))
	}
	if c.MaxMsgs > 0 || c.MaxBytes > 0 {
		all = append(all, "it has room for so much (max_msgs, max_bytes): what nobody has fetched may be dropped"+cost)
	}
	return all
}

func kept(age time.Duration) string {
	if age == 0 {
		return "kept for ever"
	}
	return fmt.Sprintf("kept for %v", age)
}
