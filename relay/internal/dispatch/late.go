package dispatch

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/outbox"
)

// Evidence has no age. A delivery that was reported as silent is remembered for as long as its stream is listened to,
// in case that paymentd decides after all: that saves the asking again, and may save the order from being given up.
// Where every answer takes longer than a command's time, nothing else settles at all.

// remembered is how many batches of silent deliveries are kept, over all streams. Who is asked again is told the same.
const remembered = 4

// memory is what is kept of the deliveries that were reported as silent: the latest, whichever streams they are of.
type memory struct {
	limit  int
	errors prometheus.Counter

	mu    sync.Mutex
	by    map[lateKey]*delivery
	order []lateKey // as they were added, those that are gone included
	of    map[*stream]int
}

type lateKey struct {
	stream *stream
	commandKey
}

func newMemory(limit int, registry prometheus.Registerer) *memory {
	m := &memory{
		limit: limit, by: map[lateKey]*delivery{}, of: map[*stream]int{},
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_relay_late_errors_total",
			Help: "Replies that came when their command's time was over, and decided nothing: they are dropped.",
		}),
	}
	registry.MustRegister(m.errors)
	return m
}

// add remembers a delivery of a stream, and forgets the oldest where there are too many.
func (m *memory) add(s *stream, d *delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := lateKey{s, keyOf(d.message)}
	if m.by[key] == nil {
		m.of[s]++
	}
	m.by[key] = d
	m.order = append(m.order, key)
	for len(m.by) > m.limit || len(m.order) > 2*m.limit {
		m.drop(m.order[0])
		m.order = m.order[1:]
	}
}

// drop forgets a delivery. The caller holds m.mu.
func (m *memory) drop(key lateKey) {
	if m.by[key] == nil {
		return
	}
	delete(m.by, key)
	if m.of[key.stream]--; m.of[key.stream] == 0 {
		delete(m.of, key.stream)
	}
}

// take removes the delivery of a key of a stream from the silent ones, nil when there is none.
func (m *memory) take(s *stream, key commandKey) *delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.by[lateKey{s, key}]
	m.drop(lateKey{s, key})
	return d
}

// holds reports whether a delivery of a stream is remembered.
func (m *memory) holds(s *stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[s] > 0
}

// forget forgets what is remembered of a stream.
func (m *memory) forget(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.by {
		if key.stream == s {
			m.drop(key)
		}
	}
}

// hear reports a delivery once more if what came for it is a decision. Anything else is old news.
func (m *memory) hear(d *delivery, result *paymentv1.PaymentResult) {
	r := outbox.Report{Message: d.message, Took: d.took(), Late: true}
	if interpret(&r, d, result); r.Result != outbox.Decided {
		m.errors.Inc()
		return
	}
	d.report(r)
}
