// Package rabbitmq is RabbitMQ as a broker: a topic is a fanout exchange, a group a quorum queue that is bound to it.
//
// Its promise is broker.Broker's. What it publishes is confirmed when a majority of the queue's members has it on disk;
// what no queue would get is no delivery. Nothing that a group has not fetched is dropped for its age: a queue keeps
// it until it is done, since what is dropped there in silence would look like a broker that loses. So a queue that
// nobody fetches from grows, and its length is what the operator watches.
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
)

// headers is the prefix of CloudEvents in AMQP's binary mode.
const headers = "cloudEvents:"

// Broker is connections to RabbitMQ: one to publish and one to consume, since a server that is short of memory stops
// reading from those who publish.
type Broker struct {
	publishing, consuming *link
	channels              channels

	mu            sync.Mutex
	subscriptions []broker.Subscription
}

// Dial makes one. It returns an error when it could never connect; that nobody answers yet is none.
func Dial(c broker.Config) (*Broker, error) {
	if c.TLS != nil {
		if _, err := c.TLS.Config(); err != nil {
			return nil, err
		}
	}
	return &Broker{publishing: newLink(c, "publishes"), consuming: newLink(c, "consumes")}, nil
}

// Close is broker.Broker's.
func (b *Broker) Close() {
	b.mu.Lock()
	subscriptions := b.subscriptions
	b.subscriptions = nil
	b.mu.Unlock()
	for _, s := range subscriptions {
		s.Close()
	}
	b.publishing.close()
	b.consuming.close()
}

// Away is broker.Broker's.
func (b *Broker) Away() error { return b.publishing.away() }

// explained says what an error of the server means for a topic, and what mends it.
func (b *Broker) explained(err error, topic, queue string) error {
	_, away := errors.AsType[*broker.Unreachable](err)
	if err == nil || away || errors.Is(err, context.Canceled) {
		return err
	}
	said, _ := errors.AsType[*amqp.Error](err)
	switch {
	case said == nil, !said.Server:
		return fmt.Errorf("topic %s on RabbitMQ at %s: %w", topic, b.publishing.addresses, err)
	case said.Code == amqp.NotFound:
		return broker.Missing("topic %s: its exchange or its queue %s is not on RabbitMQ at %s: sagactl broker setup "+
			"makes it (%s)", topic, queue, b.publishing.addresses, said.Reason)
	case said.Code == amqp.AccessRefused:
		return broker.Flawed("topic %s: RabbitMQ at %s does not let this user: doc/security.md says what it may (%s)",
			topic, b.publishing.addresses, said.Reason)
	case said.Code == amqp.PreconditionFailed && strings.Contains(said.Reason, "inequivalent"):
		return broker.Flawed("topic %s: what RabbitMQ at %s has under the name is set up otherwise (%s): when it is "+
			"empty, delete it, and sagactl broker setup makes it anew", topic, b.publishing.addresses, said.Reason)
	}
	return fmt.Errorf("topic %s on RabbitMQ at %s: %w", topic, b.publishing.addresses, err)
}

// queueOf returns the name of a group's queue, or that of those who only look at a topic.
func queueOf(topic, group string) string {
	if group == "" {
		return topic
	}
	return topic + "." + group
}
