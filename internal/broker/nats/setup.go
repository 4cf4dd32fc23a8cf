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
			return nil, b.explained(b.definite(err, topic.Name), topic.Name, "")
		}
	}
	return b.Check(ctx, plan)
}

// definite returns the Flaw that a server does not make or change a topic as it was asked to, where it says so: asked
// again, it would again.
func (b *Broker) definite(err error, topic string) error {
	said, _ := errors.AsType[*jetstream.APIError](err)
	if said == nil || said.ErrorCode == 0 || said.Code == unavailable {
		return err
	}
	return broker.Flawed("topic %s: NATS at %s does not set it up so (%w): ask for something else (--replicas, "+
		"--retention), or mend the server", topic, b.addresses, err)
}

// unavailable is the code of what a server cannot do at present.
const unavailable = 503

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
		had := stream.CachedInfo().Config.Replicas
		if _, err = b.js.UpdateStream(ctx, c); err != nil && c.Replicas > had { // Check tells that it has not as many
			c.Replicas = had
			_, err = b.js.UpdateStream(ctx, c)
		}
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
	return plan.Each(func(topic broker.Topic) (promise broker.Promise, err error) {
		var group string
		err = b.ask(ctx, func(ctx context.Context) (err error) {
			promise, group, err = b.check(ctx, plan, topic)
			return err
		})
		return promise, b.explained(err, topic.Name, group)
	})
}

// check tells what a topic can promise. With an error it returns the group that it is about.
func (b *Broker) check(
	ctx context.Context, plan broker.Plan, topic broker.Topic,
) (p broker.Promise, of string, err error) {
	stream, err := b.js.Stream(ctx, streamOf(topic.Name))
	if err != nil {
		return p, "", err
	}
	c, servers := stream.CachedInfo().Config, serversOf(stream.CachedInfo())
	p = broker.Promise{Topic: topic.Name, Facts: []string{
		fmt.Sprintf("NATS %s, stream %s", b.conn.ConnectedServerVersion(), c.Name),
		fmt.Sprintf("replicas %d, storage %s, kept %s", servers, c.Storage, kept(c.MaxAge)),
	}}
	if servers != plan.Replicas {
		p.AskedFor("replicas", plan.Replicas, servers, whyServers(plan.Replicas, servers, c.Replicas))
	}
	if c.MaxAge == 0 || c.MaxAge > plan.Retention {
		p.AskedFor("retention", plan.Retention, kept(c.MaxAge), "sagactl broker setup shortens none")
	}
	p.Unsafe = unsafeOf(c, plan, servers, broker.CostOf(topic.Name))
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
				"tells nobody%s", group, said.MaxDeliver, broker.CostOf(topic.Name)))
		}
		about := consumer.CachedInfo()
		p.Facts = append(p.Facts, broker.Waiting(group, int64(about.NumPending)+int64(about.NumAckPending)))
		p.Facts = append(p.Facts, fmt.Sprintf("consumer %s: unacknowledged for %v, an event is given out again",
			group, said.AckWait))
	}
	return p, "", nil
}

// serversOf returns how many servers have a stream, whatever was asked for: those that are there.
func serversOf(stream *jetstream.StreamInfo) int {
	servers := 1 // who answers for it
	if stream.Cluster != nil {
		for _, peer := range stream.Cluster.Replicas {
			if !peer.Offline {
				servers++
			}
		}
	}
	return servers
}

// whyServers says why so many servers have a stream that is set up for so many.
func whyServers(asked, servers, configured int) string {
	switch {
	case servers < configured:
		return fmt.Sprintf("it is set up for %d, and no more are there, or in a cluster with this one", configured)
	case configured < asked:
		return fmt.Sprintf("it is set up for %d, and a server without so large a cluster takes no more", configured)
	}
	return "sagactl broker setup takes none away"
}

func unsafeOf(c jetstream.StreamConfig, plan broker.Plan, servers int, cost string) (all []string) {
	if c.Storage == jetstream.MemoryStorage {
		all = append(all, "it lies in memory: a server that is restarted has lost what it confirmed"+cost)
	} else {
		all = append(all, "it is confirmed before it is on the disk, unless the server has sync_interval: always, "+
			"which it tells nobody: a loss of power may take the last two minutes"+cost)
	}
	if servers < 2 {
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
		return "for ever"
	}
	return "for " + age.String()
}
