package rabbitmq

import (
	"context"
	"crypto/rand"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
)

// Publish is broker.Broker's.
func (b *Broker) Publish(ctx context.Context, events []broker.Event) []error {
	errs := make([]error, len(events))
	ch, err := b.channels.take(ctx, b.publishing, len(events))
	if err != nil {
		for i := range errs {
			errs[i] = b.explained(err, events[i].Topic, "")
		}
		return errs
	}
	sent, ids := make([]*amqp.DeferredConfirmation, len(events)), idsOf(events)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		for i := range events {
			sent[i], errs[i] = ch.PublishWithDeferredConfirm(events[i].Topic, events[i].Subject, true, false,
				messageOf(&events[i], ids[i]))
		}
	}()
	select {
	case <-sending:
	case <-ctx.Done(): // the server does not read what is sent
		b.publishing.cut(ch.conn)
		<-sending
	}
	whole := true
	for i, s := range sent {
		if s == nil {
			whole = false
			continue
		}
		acked, err := s.WaitContext(ctx)
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("RabbitMQ at %s did not confirm in time: %w", b.publishing.addresses, err)
		case !acked:
			errs[i] = ch.why()
		}
		whole = whole && acked
	}
	returned := ch.returned()
	for i := range events {
		if reply, is := returned[ids[i]]; is {
			errs[i] = fmt.Errorf("topic %s: no queue of RabbitMQ at %s takes it: sagactl broker setup makes it (%s)",
				events[i].Topic, b.publishing.addresses, reply)
		} else {
			errs[i] = b.explained(errs[i], events[i].Topic, "")
		}
	}
	b.channels.giveBack(ch, whole)
	return errs
}

// idsOf returns the ids of messages. What has none gets one of its own: by it is known what comes back.
func idsOf(events []broker.Event) []string {
	ids := make([]string, len(events))
	for i := range events {
		if ids[i] = events[i].Dedupe(); ids[i] == "" {
			ids[i] = rand.Text()
		}
	}
	return ids
}

func messageOf(e *broker.Event, id string) amqp.Publishing {
	table := amqp.Table{}
	for _, h := range e.Headers(headers) {
		table[h.Name] = h.Value
	}
	return amqp.Publishing{
		Headers: table, ContentType: e.ContentType, DeliveryMode: amqp.Persistent, MessageId: id, Body: e.Data,
	}
}
