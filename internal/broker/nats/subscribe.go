package nats

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
	"hosho/internal/broker/shelf"
)

const (
	// ackWait is how long the server waits for a word about an event before it takes its holder for dead.
	ackWait = 10 * time.Second
	// tellEvery is how often it is told that an event is still held.
	tellEvery = ackWait / 4
	// orderFor is how long the server keeps the order of a first event, and beatEvery how often it says that it does.
	orderFor  = 10 * time.Second
	beatEvery = 2 * time.Second
)

// source is a consumer of a stream. Nothing is fetched ahead of what is asked for: what is held counts as given out.
type source struct {
	b            *Broker
	topic, group string
	life         context.Context // until Close
	stop         context.CancelFunc
	telling      sync.WaitGroup

	consumer jetstream.Consumer // nil: to be looked up
	first    *order             // one that is still open; nil: there is none

	mu   sync.Mutex
	held map[jetstream.Msg]struct{}
}

// order is that of one event, which the server answers when there is one. It ends when the connection is lost: the
// server has forgotten it then.
type order struct {
	jetstream.MessageBatch

	cancel context.CancelFunc
}

// Subscribe is broker.Broker's.
func (b *Broker) Subscribe(topic, group string) broker.Subscription {
	s := &source{b: b, topic: topic, group: group, held: map[jetstream.Msg]struct{}{}}
	s.life, s.stop = context.WithCancel(context.Background())
	s.telling.Go(func() { s.tell(s.life) })
	subscription := shelf.New[jetstream.Msg](s)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscriptions = append(b.subscriptions, subscription)
	return subscription
}

// Pull is shelf.Source's. It takes what is there; where that is nothing, it orders one event, and what came with it.
func (s *source) Pull(ctx context.Context, n int) ([]shelf.Item[jetstream.Msg], error) {
	if err := s.b.away(); err != nil {
		return nil, err
	}
	// What nobody may acknowledge comes again and again, until it is taken for what kills.
	err := s.b.refused(acknowledging)
	var items []shelf.Item[jetstream.Msg]
	if err == nil {
		items, err = s.pull(ctx, n)
	}
	if err != nil {
		s.consumer = nil // it may be another one by now
		err = s.b.explained(err, s.topic, s.group)
	}
	return items, err
}

func (s *source) pull(ctx context.Context, n int) (items []shelf.Item[jetstream.Msg], err error) {
	if s.consumer == nil {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
		defer cancel()
		if s.consumer, err = s.b.js.Consumer(within, streamOf(s.topic), s.group); err != nil {
			return nil, err
		}
	}
	if s.first == nil {
		if items, err = s.now(n); len(items) > 0 || err != nil || ctx.Err() != nil {
			return items, err
		}
		if s.first, err = s.order(); err != nil {
			return nil, err
		}
	}
	select {
	case <-ctx.Done():
		return nil, nil // the order stays
	case m, ok := <-s.first.Messages():
		err = s.first.Error()
		s.first.cancel()
		s.first = nil
		if !ok && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
			err = nil // nothing came, or the connection was lost
		}
		if !ok {
			return nil, err
		}
		items = []shelf.Item[jetstream.Msg]{s.hold(m)}
	}
	if n > 1 {
		more, _ := s.now(n - 1) // what is wrong is told the next time
		items = append(items, more...)
	}
	return items, nil
}

func (s *source) order() (*order, error) {
	ctx, cancel := s.b.whileConnected(s.life, orderFor)
	batch, err := s.consumer.Fetch(1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(beatEvery))
	if err != nil {
		cancel()
		return nil, err
	}
	return &order{batch, cancel}, nil
}

// now returns up to n events that are there.
func (s *source) now(n int) (items []shelf.Item[jetstream.Msg], err error) {
	batch, err := s.consumer.FetchNoWait(n)
	if err != nil {
		return nil, err
	}
	for m := range batch.Messages() {
		items = append(items, s.hold(m))
	}
	if err = batch.Error(); errors.Is(err, nats.ErrTimeout) {
		err = nil
	}
	return items, err
}

func (s *source) hold(m jetstream.Msg) shelf.Item[jetstream.Msg] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[m] = struct{}{}
	return shelf.Item[jetstream.Msg]{Event: eventOf(m), Message: m}
}

// Settle is shelf.Source's. An acknowledgement that does not arrive has the event given out again.
func (s *source) Settle(done []jetstream.Msg) {
	s.mu.Lock()
	for _, m := range done {
		delete(s.held, m)
	}
	s.mu.Unlock()
	for _, m := range done {
		_ = m.Ack()
	}
}

// tell keeps what is held from being given to others.
func (s *source) tell(ctx context.Context) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		held := make([]jetstream.Msg, 0, len(s.held))
		for m := range s.held {
			held = append(held, m)
		}
		s.mu.Unlock()
		for _, m := range held {
			if s.b.away() == nil {
				_ = m.InProgress() // not told, it is given out again, which is allowed
			}
		}
	}
}

// Close is shelf.Source's. What is kept goes back at once, which counts like the end of ackWait would.
func (s *source) Close(kept []jetstream.Msg) {
	s.stop()
	s.telling.Wait()
	for _, m := range kept {
		_ = m.Nak()
	}
	if s.first != nil {
		for m := range s.first.Messages() {
			_ = m.Nak()
		}
		s.first.cancel()
	}
}
