package dispatch

import (
	"slices"
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
	by    map[lateKey][]*delivery // each key's in the order in which they were sent: so they are answered
	of    map[*stream]int
	held  int
	order []remembrance // as they were added, those that are gone included
}

type remembrance struct {
	lateKey
	*delivery
}

type lateKey struct {
	stream *stream
	commandKey
}

func newMemory(limit int, registry prometheus.Registerer) *memory {
	m := &memory{
		limit: limit, by: map[lateKey][]*delivery{}, of: map[*stream]int{},
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
	m.by[key] = append(m.by[key], d)
	m.of[s]++
	m.held++
	m.order = append(m.order, remembrance{key, d})
	for m.held > m.limit || len(m.order) > 2*m.limit {
		m.drop(m.order[0].lateKey, m.order[0].delivery)
		m.order = m.order[1:]
	}
}

// drop forgets a delivery, if it is remembered. The caller holds m.mu.
func (m *memory) drop(key lateKey, d *delivery) {
	i := slices.Index(m.by[key], d)
	if i < 0 {
		return
	}
	if m.by[key] = slices.Delete(m.by[key], i, i+1); len(m.by[key]) == 0 {
		delete(m.by, key)
	}
	if m.of[key.stream]--; m.of[key.stream] == 0 {
		delete(m.of, key.stream)
	}
	m.held--
}

// take removes the first silent delivery of a key of a stream, nil when there is none.
func (m *memory) take(s *stream, key commandKey) *delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == 0 {
		return nil
	}
	silent := m.by[lateKey{s, key}]
	if len(silent) == 0 {
		return nil
	}
	first := silent[0]
	m.drop(lateKey{s, key}, first)
	return first
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
	for key, silent := range m.by {
		if key.stream == s {
			m.held -= len(silent)
			delete(m.by, key)
		}
	}
	delete(m.of, s)
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
