package kafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"hosho/internal/broker"
)

var errUnconfirmed = errors.New("not confirmed in time")

// Publish is broker.Broker's.
func (b *Broker) Publish(ctx context.Context, events []broker.Event) []error {
	type answer struct {
		at  int
		err error
	}
	answers := make(chan answer, len(events)) // those that come too late have room
	errs := make([]error, len(events))
	for i := range events {
		b.client.Produce(ctx, recordOf(&events[i]), func(_ *kgo.Record, err error) { answers <- answer{i, err} })
		errs[i] = errUnconfirmed
	}
	for waited := 0; waited < len(events); waited++ {
		select {
		case a := <-answers:
			errs[a.at] = a.err
		case <-ctx.Done():
			waited = len(events)
		}
	}
	for i, err := range errs {
		if errors.Is(err, errUnconfirmed) && b.last.get() == nil || isGone(err) {
			b.client.PurgeTopicsFromProducing(events[i].Topic) // a topic that was made anew is another one
		}
		errs[i] = b.explained(err, events[i].Topic)
	}
	return errs
}

// isGone reports whether a topic is not there, or is another one than before.
func isGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

func recordOf(e *broker.Event) *kgo.Record {
	r := &kgo.Record{Topic: e.Topic, Key: []byte(e.Subject), Value: e.Data}
	if e.ContentType != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: broker.HeaderContentType, Value: []byte(e.ContentType)})
	}
	for _, h := range e.Headers(headers) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
	}
	return r
}

func eventOf(r *kgo.Record) broker.Event {
	e := broker.Event{Topic: r.Topic, Data: r.Value}
	came := make([]broker.Header, 0, len(r.Headers))
	for _, h := range r.Headers {
		if h.Key == broker.HeaderContentType {
			e.ContentType = string(h.Value)
			continue
		}
		came = append(came, broker.Header{Name: h.Key, Value: string(h.Value)})
	}
	e.SetHeaders(headers, came)
	return e
}
