package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/outbox"
)

func silentOne(n int) *delivery {
	return &delivery{message: outbox.Message{Key: fmt.Sprint(n), Kind: "CHARGE"}}
}

// However many streams there are and however many deliveries fall silent, the latest of them are remembered, and no
// more.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 10
	m := newMemory(limit, prometheus.NewRegistry())
	streams := []*stream{{}, {}, {}}
	for n := range 1000 {
		s := streams[n%len(streams)]
		m.add(s, silentOne(n))
		if n%7 == 0 {
			m.add(s, silentOne(n)) // sent twice
		}
		if n%5 == 0 {
			m.take(s, keyOf(silentOne(n).message))
		}
		if m.held > limit || len(m.by) > limit || len(m.order) > 2*limit {
			t.Fatalf("got %d remembered and %d noted, want %d and twice as many", m.held, len(m.order), limit)
		}
	}
	latest := 999
	s := streams[latest%len(streams)]
	if !m.holds(s) || m.take(s, keyOf(silentOne(latest).message)) == nil {
		t.Error("got the latest forgotten")
	}
	if m.take(s, keyOf(silentOne(latest).message)) != nil || m.take(streams[0], keyOf(silentOne(0).message)) != nil {
		t.Error("got one that was taken, or is long gone")
	}
	for _, s := range streams {
		m.forget(s)
		if m.holds(s) {
			t.Error("got something of a stream that was forgotten")
		}
	}
	if m.held != 0 || len(m.by) != 0 || len(m.of) != 0 {
		t.Errorf("got %d left of %d streams, want nothing", m.held, len(m.of))
	}
}

// A command is sent at noon, is silent two seconds later, and is sent again. What comes then is the answer to the first
// delivery: it shows that what was sent at noon is answered, and not that what was sent since is. Over a slow link
// every order would be said to hang otherwise.
func TestAnAnswerIsTheFirstDeliverys(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var reports []outbox.Report
	sent := func(after time.Duration) *delivery {
		d := silentOne(1)
		d.sent, d.report = noon.Add(after), func(r outbox.Report) { reports = append(reports, r) }
		return d
	}
	first, second := sent(0), sent(2*time.Second)
	key := keyOf(first.message)
	s := &stream{
		peer: &acquaintance{}, memory: newMemory(10, prometheus.NewRegistry()),
		pending: map[commandKey][]*delivery{key: {second}},
	}
	s.memory.add(s, first)
	refused := &paymentv1.PaymentResult{PaymentId: key.id, Kind: key.kind, Outcome: &paymentv1.PaymentResult_Error{
		Error: &paymentv1.PaymentError{Code: 13, Reason: "INTERNAL"},
	}}
	s.take(refused)
	if !s.served.Equal(noon) || !s.peer.served.Equal(noon) || len(reports) != 1 || reports[0].Late {
		t.Errorf("got what was sent at %s served, and the reports %+v, want noon and one report", s.served, reports)
	}
}

// An error that comes late decides nothing. It is counted.
func TestALateErrorIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMemory(1, registry)
	d := silentOne(1)
	d.report = func(r outbox.Report) { t.Errorf("got the report %+v, want none", r) }
	m.hear(d, &paymentv1.PaymentResult{Outcome: &paymentv1.PaymentResult_Error{
		Error: &paymentv1.PaymentError{Code: 13, Reason: "INTERNAL"},
	}})
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("got %d metrics, error %v; want one", len(families), err)
	}
	if got := families[0].GetMetric()[0].GetCounter().GetValue(); got != 1 {
		t.Errorf("got %v late errors, want one", got)
	}
}
