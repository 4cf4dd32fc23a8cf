package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
)

// Declare is broker.Broker's. What is there with other settings stays as it is, and Check tells of it.
func (b *Broker) Declare(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	for _, topic := range plan.Topics {
		if err := b.declare(ctx, plan, topic); err != nil {
			return nil, b.explained(err, topic.Name, "")
		}
	}
	return b.Check(ctx, plan)
}

func (b *Broker) declare(ctx context.Context, plan broker.Plan, topic broker.Topic) error {
	err := b.ask(ctx, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclare(topic.Name, amqp.ExchangeFanout, true, false, false, false, nil)
	})
	if err != nil {
		return err
	}
	for _, queue := range queuesOf(topic) {
		err := b.ask(ctx, func(ch *amqp.Channel) error { return declareQueue(ch, plan, queue) })
		if err != nil && !isOtherwise(err) {
			return err
		}
		err = b.ask(ctx, func(ch *amqp.Channel) error { return ch.QueueBind(queue, "", topic.Name, false, nil) })
		if err != nil {
			return err
		}
	}
	return nil
}

// declareQueue makes a queue, or finds it as it would make it.
func declareQueue(ch *amqp.Channel, plan broker.Plan, queue string) error {
	args := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}
	if plan.Replicas > 1 { // else as many as the server thinks right
		args["x-quorum-initial-group-size"] = plan.Replicas
	}
	_, err := ch.QueueDeclare(queue, true, false, false, false, args)
	return err
}

// isOtherwise reports whether something is there with other settings.
func isOtherwise(err error) bool {
	said, is := errors.AsType[*amqp.Error](err)
	return is && said.Code == amqp.PreconditionFailed
}

// queuesOf returns the names of a topic's queues.
func queuesOf(topic broker.Topic) []string {
	if len(topic.Groups) == 0 {
		return []string{queueOf(topic.Name, "")}
	}
	queues := make([]string, 0, len(topic.Groups))
	for _, group := range topic.Groups {
		queues = append(queues, queueOf(topic.Name, group))
	}
	return queues
}

// ask asks the server something on a channel of its own, which an error closes.
func (b *Broker) ask(ctx context.Context, question func(*amqp.Channel) error) error {
	conn, err := b.publishing.get(ctx)
	if err != nil {
		return err
	}
	ch, err := within(ctx, func() (*amqp.Channel, error) {
		ch, err := conn.Channel()
		if err != nil {
			return nil, err
		}
		return ch, question(ch)
	})
	if err == nil {
		err = ch.Close()
	}
	return err
}

// Check is broker.Broker's.
func (b *Broker) Check(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	return plan.Each(func(topic broker.Topic) (broker.Promise, error) {
		promise, queue, err := b.check(ctx, plan, topic)
		return promise, b.explained(err, topic.Name, queue)
	})
}

// check tells what a topic can promise. With an error it returns the queue that it is about.
func (b *Broker) check(
	ctx context.Context, plan broker.Plan, topic broker.Topic,
) (p broker.Promise, of string, err error) {
	conn, err := b.publishing.get(ctx)
	if err != nil {
		return p, "", err
	}
	version, _ := conn.Properties["version"].(string)
	cost := broker.CostOf(topic.Name)
	p = broker.Promise{Topic: topic.Name, Facts: []string{"RabbitMQ " + version + ", a fanout exchange"}}
	p.AskedFor("retention", plan.Retention, "none", "an event is kept until it is done")
	if plan.Replicas < 2 {
		p.Unsafe = append(p.Unsafe, "one server is asked for: with its disk goes what it confirmed"+cost)
	}
	err = b.ask(ctx, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(topic.Name, amqp.ExchangeFanout, true, false, false, false, nil)
	})
	if err != nil {
		return p, topic.Name, err
	}
	for i, queue := range queuesOf(topic) {
		var depth int
		err := b.ask(ctx, func(ch *amqp.Channel) error {
			found, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			depth = found.Messages
			return err
		})
		if err != nil {
			return p, queue, err
		}
		if len(topic.Groups) > 0 {
			p.Facts = append(p.Facts, broker.Waiting(topic.Groups[i], int64(depth)))
		} else {
			p.Facts = append(p.Facts, fmt.Sprintf("queue %s: %d events", queue, depth))
		}
		b.kindOf(ctx, plan, queue, &p)
	}
	if limited(version) {
		p.Unsafe = append(p.Unsafe, "since 4.0, RabbitMQ drops what it gave out 20 times, and tells nobody, unless "+
			`a policy has "delivery-limit": -1`+cost)
	}
	return p, "", nil
}

// kindOf tells whether a queue is as Declare makes it, by declaring it once more: the protocol has no other question.
func (b *Broker) kindOf(ctx context.Context, plan broker.Plan, queue string, p *broker.Promise) {
	declared := func(plan broker.Plan) error {
		return b.ask(ctx, func(ch *amqp.Channel) error { return declareQueue(ch, plan, queue) })
	}
	err := declared(plan)
	if isOtherwise(err) && plan.Replicas > 1 && declared(broker.Plan{}) == nil {
		p.AskedFor("replicas", plan.Replicas, "what queue "+queue+" was made with", "rabbitmq-queues grow NODE all "+
			"has one more server take part, and rabbitmqctl list_queues name members tells which do")
		err = nil
	}
	said, _ := errors.AsType[*amqp.Error](err)
	switch {
	case err == nil:
		p.Facts = append(p.Facts, "queue "+queue+": a quorum queue (rabbitmqctl list_queues name members: who has it)")
	case isOtherwise(err):
		p.Unsafe = append(p.Unsafe, fmt.Sprintf("queue %s is set up otherwise (%s): unless it is a quorum queue of "+
			"several servers, what it confirmed may go with one of them%s", queue, said.Reason, broker.CostOf(p.Topic)))
	default: // who may not declare is not told
		p.Facts = append(p.Facts, "queue "+queue+": of what type it is, this user is not told")
	}
}

// limited reports whether a server of a version drops what it gave out too often, as it comes.
func limited(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	return len(major) > 1 || major >= "4"
}
