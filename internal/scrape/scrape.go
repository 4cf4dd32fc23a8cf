// Package scrape is metrics that somebody has to be asked for: a database mostly.
//
// Its promise: nothing is asked while nobody scrapes, and at most once in ten seconds however many do. An answer takes
// a second at most. What could not be had is absent, so that nobody takes an old figure for today's, and is counted.
package scrape

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// kept is how long an answer is good for: several Prometheuses cost no more than one.
	kept = 10 * time.Second
	// within is what an answer may take. Prometheus waits for ten seconds by default, for all of them.
	within = time.Second
)

// Ask returns the metrics that somebody was asked for: those that were described, as they are now. What it asks ends
// with ctx.
type Ask func(ctx context.Context) ([]prometheus.Metric, error)

// Scrape makes the metrics of one registry that have to be asked for.
type Scrape struct {
	registry prometheus.Registerer
	failures *prometheus.CounterVec
	log      *slog.Logger
}

// New makes a Scrape for a registry; where that is nil nothing is ever asked.
func New(registry prometheus.Registerer, log *slog.Logger) *Scrape {
	s := &Scrape{registry: registry, log: log, failures: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_scrape_failures_total",
		Help: "Times that what a metric tells could not be had, and the metric was left out, by what was asked for.",
	}, []string{"what"})}
	if registry != nil {
		registry.MustRegister(s.failures)
	}
	return s
}

// Add has metrics asked for when somebody scrapes. what names them where asking fails, in a word.
func (s *Scrape) Add(what string, ask Ask, metrics ...*prometheus.Desc) {
	if s.registry == nil {
		return
	}
	s.registry.MustRegister(&collector{
		what: what, ask: ask, metrics: metrics, failed: s.failures.WithLabelValues(what), log: s.log,
	})
}

// collector asks for metrics that come together.
type collector struct {
	what    string
	ask     Ask
	metrics []*prometheus.Desc
	failed  prometheus.Counter
	log     *slog.Logger

	mu     sync.Mutex // held while it is asked: whoever comes meanwhile has the same answer
	asked  time.Time
	answer []prometheus.Metric
	told   bool // the log has that it fails
}

// Describe is called by the registry.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range c.metrics {
		to <- desc
	}
}

// Collect is called by the registry.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, metric := range c.current() {
		to <- metric
	}
}

func (c *collector) current() []prometheus.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked.IsZero() && time.Since(c.asked) < kept {
		return c.answer
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	answer, err := c.ask(ctx)
	c.asked, c.answer = time.Now(), answer
	if err != nil {
		c.answer = nil
		c.failed.Inc()
	}
	if failed := err != nil; failed != c.told { // each ten seconds it would be the same
		c.told = failed
		if failed {
			c.log.Warn("metrics are left out", "what", c.what, "error", err)
		} else {
			c.log.Info("metrics are back", "what", c.what)
		}
	}
	return c.answer
}
