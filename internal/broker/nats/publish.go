package nats

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
)

// Publish is broker.Broker's.
func (b *Broker) Publish(ctx context.Context, events []broker.Event) []error {
	errs := make([]error, len(events))
	if away := b.away(); away != nil { // the client would keep them until it is back
		for i := range errs {
			errs[i] = away
		}
		return errs
	}
	sent := make([]jetstream.PubAckFuture, len(events))
	for i := range events {
		if sent[i], errs[i] = b.js.PublishMsgAsync(messageOf(&events[i])); errs[i] != nil {
			errs[i] = b.explained(errs[i], events[i].Topic, "")
		}
	}
	for i, s := range sent {
		if s != nil {
			errs[i] = b.confirmed(ctx, s, events[i].Topic)
		}
	}
	return errs
}

// confirmed waits for the answer to an event that was sent.
func (b *Broker) confirmed(ctx context.Context, sent jetstream.PubAckFuture, topic string) error {
	select {
	case ack := <-sent.Ok():
		if ack.Stream != streamOf(topic) {
			return fmt.Errorf("topic %s: it went to the stream %s, want %s: sagactl broker setup makes it",
				topic, ack.Stream, streamOf(topic))
		}
		return nil
	case err := <-sent.Err():
		return b.explained(err, topic, "")
	case <-ctx.Done():
		return b.explained(fmt.Errorf("not confirmed in time: %w", ctx.Err()), topic, "")
	}
}

func messageOf(e *broker.Event) *nats.Msg {
	m := &nats.Msg{Subject: e.Topic, Data: e.Data, Header: nats.Header{}}
	for _, h := range e.Headers(headers) {
		m.Header[h.Name] = append(m.Header[h.Name], h.Value) // as it is written: nats.Header.Add changes nothing either
	}
	if e.ContentType != "" {
		m.Header[broker.HeaderContentType] = []string{e.ContentType}
	}
	if id := e.Dedupe(); id != "" {
		m.Header[jetstream.MsgIDHeader] = []string{id}
	}
	return m
}

// ofServer begins the headers by which a server is told what to do with a message. A dead letter must not have them: it
// would be expected elsewhere, or take others away.
const ofServer = "Nats-"

func eventOf(m jetstream.Msg) broker.Event {
	e := broker.Event{Topic: m.Subject(), Data: m.Data(), ContentType: m.Headers().Get(broker.HeaderContentType)}
	var came []broker.Header
	for name, values := range m.Headers() {
		if name == broker.HeaderContentType || strings.HasPrefix(name, ofServer) {
			continue
		}
		for _, value := range values {
			came = append(came, broker.Header{Name: name, Value: value})
		}
	}
	e.SetHeaders(headers, came)
	if about, err := m.Metadata(); err == nil {
		e.Given = int(about.NumDelivered) - 1
	}
	return e
}
