package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/wait"
)

// Pass is a kind of comparison.
type Pass string

// The passes: over all keys, and over those that may have changed since the one before.
const (
	Full        Pass = "full"
	Incremental Pass = "incremental"
)

const (
	// FullEvery is how often everything is compared, unless somebody says otherwise.
	FullEvery = 24 * time.Hour
	// Slack is how much farther back than needed a pass looks: an id is made before its order is written, a time is
	// told before its transaction has a number, and clocks differ.
	Slack = 2 * time.Minute

	retryAfter = 10 * time.Second // at most
	mostKnown  = 100_000          // keys that are wrong, and keys under way
	mostTold   = 1000             // findings that a pass logs
)

// MonitorConfig says how to go on comparing.
type MonitorConfig struct {
	StuckAfter time.Duration         // as in Options
	Window     int                   // as in Options
	Every      time.Duration         // the pause between two passes
	FullEvery  time.Duration         // 0: FullEvery
	Slack      time.Duration         // 0: Slack
	Most       int                   // keys that are known at a time; 0: 100,000
	Log        *slog.Logger          // is told of each finding when it is new, and when it is gone
	Registry   prometheus.Registerer // nil: nobody sees the metrics
}

// Monitor compares again and again, and knows what is wrong. Its passes come one after the other.
type Monitor struct {
	orders, payments *pgxpool.Pool
	config           MonitorConfig
	metrics          *metrics

	base       base
	full       time.Time // when everything was compared last; zero: it was not
	incomplete bool      // base.findings is not all that is wrong
	failed     Pass      // that the pass before was and did not succeed at; "": it did
	unready    atomic.Pointer[error]
}

var errNoPass = errors.New("the databases have not been compared yet")

// NewMonitor makes a Monitor. It reads nothing before its first pass.
func NewMonitor(orders, payments *pgxpool.Pool, c MonitorConfig) *Monitor {
	if c.FullEvery == 0 {
		c.FullEvery = FullEvery
	}
	if c.Slack == 0 {
		c.Slack = Slack
	}
	if c.Most == 0 {
		c.Most = mostKnown
	}
	m := &Monitor{
		orders: orders, payments: payments, config: c, metrics: newMetrics(c.Registry),
		base: base{findings: map[string]Class{}},
	}
	m.unready.Store(&errNoPass)
	return m
}

// Ready returns nil when the last pass compared what it should, whatever it found.
func (m *Monitor) Ready() error { return *m.unready.Load() }

// Run makes pass after pass until ctx ends. One that fails is made again soon.
func (m *Monitor) Run(ctx context.Context) {
	for pause := time.Duration(0); wait.For(ctx, pause); {
		pause = m.config.Every
		if _, _, err := m.Pass(ctx); err != nil {
			pause = min(pause, retryAfter)
		}
	}
}

// Pass compares once. Its error is that of Run.
func (m *Monitor) Pass(ctx context.Context) (Pass, Summary, error) {
	began := time.Now()
	pass, next, err := m.begin(ctx)
	var summary Summary
	if err == nil {
		summary, err = m.compare(ctx, pass, &next)
	}
	switch {
	case err == nil:
		m.failed = ""
		m.base = next
		m.metrics.passed(pass, time.Since(began))
		m.report(ctx, pass, summary, time.Since(began))
	case ctx.Err() == nil:
		m.failed = pass
		m.metrics.failed()
		m.config.Log.WarnContext(ctx, "the databases could not be compared", "pass", string(pass), "error", err,
			"again_in", min(m.config.Every, retryAfter))
	}
	m.unready.Store(&err)
	return pass, summary, err
}
