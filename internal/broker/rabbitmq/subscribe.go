package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
	"hosho/internal/broker/shelf"
)

// delivery is what an event is known by.
type delivery struct {
	on  *consumer
	tag uint64
}

// source is a queue.
type source struct {
	b            *Broker
	topic, group string
	shelf        *shelf.Subscription[delivery]
	now          *consumer // nil: there is none
}

// Subscribe is broker.Broker's.
func (b *Broker) Subscribe(topic, group string) broker.Subscription {
	s := &source{b: b, topic: topic, group: group}
	s.shelf = shelf.New[delivery](s)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscriptions = append(b.subscriptions, s.shelf)
	return s.shelf
}

// Pull is shelf.Source's.
func (s *source) Pull(ctx context.Context, n int) ([]shelf.Item[delivery], error) {
	if err := s.ready(ctx, n == 1); err != nil {
		return nil, s.b.explained(err, s.topic, queueOf(s.topic, s.group))
	}
	var items []shelf.Item[delivery]
	for _, d := range s.now.take(ctx, n) {
		message := delivery{s.now, d.DeliveryTag}
		items = append(items, shelf.Item[delivery]{Event: eventOf(s.topic, &d), Message: message})
	}
	return items, nil
}

// ready sees to it that events come, one by one or many.
func (s *source) ready(ctx context.Context, single bool) error {
	if s.now != nil {
		if err := s.now.ended(); err != nil {
			s.drop()
			return err
		}
		if s.now.single != single {
			return s.now.change(single)
		}
		return nil
	}
	conn, err := s.b.consuming.get(ctx)
	if err != nil {
		return err
	}
	s.now, err = openConsumer(conn, queueOf(s.topic, s.group), single)
	return err
}

// drop forgets a consumer. What it had, the server gives out again.
func (s *source) drop() {
	gone := s.now
	s.now = nil
	_ = gone.Channel.Close() // most likely it is closed
	s.shelf.Drop(func(d delivery) bool { return d.on == gone })
}

// Settle is shelf.Source's. An acknowledgement that does not arrive has the event given out again.
func (s *source) Settle(done []delivery) {
	tags := map[*consumer][]uint64{}
	for _, d := range done {
		tags[d.on] = append(tags[d.on], d.tag)
	}
	for c, all := range tags {
		c.acks.settle(c.Channel, all)
	}
}

// Close is shelf.Source's. With its channel closed, the server gives out again what is held.
func (s *source) Close([]delivery) {
	if s.now != nil {
		_ = s.now.Channel.Close() // or it is lost, which comes to the same
	}
}

func eventOf(topic string, d *amqp.Delivery) broker.Event {
	e := broker.Event{Topic: topic, Data: d.Body, ContentType: d.ContentType}
	var came []broker.Header
	for name, value := range d.Headers {
		if !ofServer(name) {
			came = append(came, broker.Header{Name: name, Value: textOf(value)})
		}
	}
	e.SetHeaders(headers, came)
	switch n := d.Headers["x-delivery-count"].(type) {
	case int64:
		e.Given = int(n)
	case int32:
		e.Given = int(n)
	}
	if d.Redelivered {
		e.Given = max(e.Given, 1)
	}
	return e
}

// ofServer reports whether a header is the server's own, or tells it where else a message is to go. A dead letter must
// not have it.
func ofServer(name string) bool {
	return strings.HasPrefix(name, "x-") || name == "CC" || name == "BCC"
}

// textOf returns the value of a header, which may be of any type.
func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(value)
}
