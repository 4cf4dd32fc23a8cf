package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Seconds are the buckets of whatever takes from a millisecond to minutes: they tell 1 ms from 5 ms, and 10 s from 60.
var Seconds = []float64{
	.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 60, 120, 300, 900, 3600,
}

// sizes are the buckets of how many messages are claimed or settled at once: up to MaxBatch.
var sizes = []float64{0, 1, 2, 5, 10, 20, 50, 100, 200, 500, MaxBatch}

// Metrics count what the workers of a process do.
type Metrics struct {
	registry prometheus.Registerer

	wait, claimed, size, took *prometheus.HistogramVec
	deliveries, retried       *prometheus.CounterVec

	settled     prometheus.Histogram
	settledSize prometheus.Histogram
}

// NewMetrics makes metrics of a process's workers, which nobody sees where there is no registry.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
	}
	ofKind := func(opts prometheus.HistogramOpts) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(opts, []string{"kind"})
	}
	m := &Metrics{
		registry: registry,
		wait: ofKind(histogram("hosho_outbox_wait_seconds",
			"How long a command had been due when a worker took it up, by the database's clock, in seconds. "+
				"Where a worker died over it, the lease that had to end is in it.", Seconds)),
		claimed: ofKind(histogram("hosho_outbox_claim_seconds",
			"What the statement took by which a worker took up what was due, or read what was written for it, in "+
				"seconds; those that failed are left out.", Seconds)),
		size: ofKind(histogram("hosho_outbox_claim_size",
			"How many commands such a statement returned; 0: it was in vain.", sizes)),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_deliveries_total",
			Help: "What came of commands that a worker took up, each time that it did. means decided: paymentd said " +
				"what it has stored; ambiguous, blocked, deferred: no decision, and the command is tried again; " +
				"refused, conflict: paymentd will not; expired, unreadable, withheld, stray: it was not sent; handed " +
				"over: a broker has it, and what came of it comes as an event.",
		}, []string{"kind", "means"}),
		took: ofKind(histogram("hosho_delivery_seconds",
			"From sending a command to paymentd to its answer, or until there was none, in seconds.", Seconds)),
		retried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_deliveries_retried_total",
			Help: "Commands that were sent though they had been taken up before: what came of that was no decision, " +
				"or its worker died.",
		}, []string{"kind"}),
		settled: prometheus.NewHistogram(histogram("hosho_settle_seconds",
			"What it took to apply what came of commands to their orders, a batch at a time, in seconds; those that "+
				"failed are left out.", Seconds)),
		settledSize: prometheus.NewHistogram(histogram("hosho_settle_size",
			"How many commands such a batch applied.", sizes)),
	}
	if registry != nil {
		registry.MustRegister(m.wait, m.claimed, m.size, m.deliveries, m.took, m.retried, m.settled, m.settledSize)
	}
	return m
}

// counts are the metrics of one worker.
type counts struct {
	wait, claimed, size, took prometheus.Observer
	settled, settledSize      prometheus.Observer

	deliveries [HandedOver + 1]prometheus.Counter
	retried    prometheus.Counter
}

// of returns the metrics of a worker, all of which are there from the beginning. A process has one for each kind.
func (m *Metrics) of(w *Worker) counts {
	if m == nil {
		m = NewMetrics(nil)
	}
	kind := ""
	if w.queue != nil { // as a test may have it, whose worker claims nothing
		kind = w.queue.kind
	}
	c := counts{
		wait: m.wait.WithLabelValues(kind), claimed: m.claimed.WithLabelValues(kind),
		size: m.size.WithLabelValues(kind), took: m.took.WithLabelValues(kind),
		settled: m.settled, settledSize: m.settledSize, retried: m.retried.WithLabelValues(kind),
	}
	for r := Decided; r <= HandedOver; r++ {
		if r != TimedOut { // a worker takes it for another one
			c.deliveries[r] = m.deliveries.WithLabelValues(kind, r.String())
		}
	}
	if m.registry != nil {
		m.registry.MustRegister(
			gauge(kind, "hosho_deliveries_in_flight", w.held,
				"Commands that a worker has in its hands: taken up, and what came of them not applied yet."),
			gauge(kind, "hosho_breaker_open", w.breaker.shown,
				"1 where this relay takes paymentd to be down for a kind, and sends one command a second to see; "+
					"else 0."))
	}
	return c
}

func gauge(kind, name string, value func() float64, help string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"kind": kind},
	}, value)
}

// claim notes a statement that took messages up, or read them.
func (c *counts) claim(found []claimed, began time.Time) {
	c.claimed.Observe(time.Since(began).Seconds())
	c.size.Observe(float64(len(found)))
	for i := range found {
		c.wait.Observe(max(found[i].At.Sub(found[i].ReadyAt), 0).Seconds())
	}
}

// sent notes messages that are sent.
func (c *counts) sent(messages []Message) {
	again := 0
	for i := range messages {
		if messages[i].Claims > 1 {
			again++
		}
	}
	c.retried.Add(float64(again))
}

// delivery notes what came of a message, once it is clear what that means.
func (c *counts) delivery(r *Report) {
	c.deliveries[r.Result].Inc()
	if r.Took > 0 {
		c.took.Observe(r.Took.Seconds())
	}
}

// settle notes a batch that was settled.
func (c *counts) settle(n int, began time.Time) {
	c.settled.Observe(time.Since(began).Seconds())
	c.settledSize.Observe(float64(n))
}
