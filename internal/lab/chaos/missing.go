package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/rabbitmq/amqp091-go"

	"hosho/internal/lab/brokers"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// missTopics has nothing set up. On RabbitMQ only the queues are missing: a topic is still there, and whatever is
// published to it has nowhere to go.
func missTopics(ctx context.Context, s *system, _ *rand.Rand) error {
	forever, without := context.WithoutCancel(ctx), s.Broker.Wipe
	if s.Broker.Kind() == brokers.RabbitMQ {
		without = s.deleteQueues
	}
	if err := without(forever); err != nil {
		return err
	}
	if err := s.watchConfirmed(ctx); err != nil {
		return err
	}
	return s.DeclareTopics(forever)
}

// watchConfirmed finds relays that count events as confirmed until ctx ends, while the broker has nowhere to put one.
// Nothing is looked at where other faults are about: one of them may have made a place, or have a relay count late.
func (s *system) watchConfirmed(ctx context.Context) error {
	defer func() { <-ctx.Done() }()
	// What was confirmed before is counted along with its batch, and a batch may wait as long as a call for its last.
	if !s.alone || !wait.For(ctx, 2*s.pace.CallTimeout) {
		return nil
	}
	forever := context.WithoutCancel(ctx)
	before, err := s.measured().Read(forever)
	if err != nil {
		return err
	}
	<-ctx.Done()
	after, err := s.measured().Read(forever)
	if err != nil {
		return err
	}
	for _, kind := range []string{"OrderPlaced", "OrderCancelling"} {
		n := after.Since(before, "hosho_broker_published_total", fmt.Sprintf("type=%q", kind), `result="confirmed"`)
		if n > 0 {
			s.blame(Violation{rules.Confirmed, fmt.Sprintf("%v events %s count as confirmed by %s, which has no "+
				"topic or queue for them", n, kind, s.Broker.Kind())})
		}
	}
	return nil
}

// deleteQueues deletes the queues of the groups, and what is in them.
func (s *system) deleteQueues(context.Context) error {
	client, plan, err := s.DialBroker()
	if err != nil {
		return err
	}
	client.Close()
	conn, err := amqp091.Dial(s.Broker.URL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the queues are gone or not
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	for _, topic := range plan.Topics {
		for _, group := range topic.Groups {
			if _, err := ch.QueueDelete(topic.Name+"."+group, false, false, false); err != nil {
				return err
			}
		}
	}
	return nil
}
