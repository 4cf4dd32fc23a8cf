package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// begin tells which pass is due, and what the one after it starts from, as far as that is known before.
func (m *Monitor) begin(ctx context.Context) (pass Pass, next base, err error) {
	if next.orders, err = m.base.orders.next(ctx, m.orders, "orders"); err != nil {
		return Full, next, fmt.Errorf("ask the orders database: %w", err)
	}
	if next.payments, err = m.base.payments.next(ctx, m.payments, "payments"); err != nil {
		return Full, next, fmt.Errorf("ask the payments database: %w", err)
	}
	if next.blocks, err = orderBlocks(ctx, m.orders); err != nil {
		return Full, next, fmt.Errorf("ask the orders database: %w", err)
	}
	switch {
	case m.full.IsZero(), m.incomplete, next.orders.is != m.base.orders.is, next.payments.is != m.base.payments.is:
		return Full, next, nil
	case time.Since(m.full) >= m.config.FullEvery && m.failed != Full: // the others go on while those fail
		return Full, next, nil
	}
	return Incremental, next, nil
}

// lagBlocks is how many of the blocks that were there before are looked at for orders that came late.
const lagBlocks = 16

// compare makes the pass, and completes what the next one starts from.
func (m *Monitor) compare(ctx context.Context, pass Pass, next *base) (Summary, error) {
	news := &news{monitor: m, log: m.config.Log, silent: m.incomplete}
	s := newSweep(m.orders, m.payments, Options{
		StuckAfter: m.config.StuckAfter, Window: m.config.Window, Found: news.found,
	})
	s.notes = newNotes(m.config.Most, m.base.findings)
	var err error
	if pass == Full {
		err = s.whole(ctx)
	} else if next.lag, err = orderLag(ctx, m.orders, max(0, m.base.blocks-lagBlocks)); err == nil {
		from := m.base
		from.lag = max(from.lag, next.lag)
		err = s.changed(ctx, from, m.config.Slack)
	}
	summary, err := s.end(err)
	m.metrics.read(summary.Orders, summary.Payments)
	if err == nil {
		next.underWay, next.from = s.notes.underWay, s.notes.from
		next.findings = m.learn(pass, s.notes, summary, news)
	}
	news.end(ctx)
	return summary, err
}

// learn returns the findings that are known after a pass.
func (m *Monitor) learn(pass Pass, n *notes, summary Summary, news *news) map[string]Class {
	gone := n.mended
	if pass == Full {
		gone = map[string]bool{}
		for id := range m.base.findings {
			if _, still := n.found[id]; !still && !n.more {
				gone[id] = true
			}
		}
	}
	for id := range gone {
		m.metrics.isMended(m.base.findings[id])
		news.gone(id, m.base.findings[id])
		delete(m.base.findings, id)
	}
	if pass != Full {
		return m.base.findings
	}
	m.full, m.incomplete = time.Now(), n.more
	counts := summary.Findings
	if !n.more {
		counts = count(n.found)
	}
	m.metrics.knows(counts)
	return n.found
}

func count(findings map[string]Class) map[Class]int64 {
	counts := map[Class]int64{}
	for _, class := range findings {
		counts[class]++
	}
	return counts
}

// report tells that a pass has ended. One that compares a little is told to those who want to know everything.
func (m *Monitor) report(ctx context.Context, pass Pass, s Summary, took time.Duration) {
	level := slog.LevelDebug
	if pass == Full {
		level = slog.LevelInfo
	}
	if m.incomplete {
		m.config.Log.WarnContext(ctx, "more findings than are known one by one: everything is compared each time",
			"known", len(m.base.findings), "see", "sagactl reconcile")
	}
	m.config.Log.Log(ctx, level, "compared", "pass", string(pass), "orders", s.Orders, "payments", s.Payments,
		"under_way", len(m.base.underWay), "took", took)
}
