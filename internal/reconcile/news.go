package reconcile

import (
	"context"
	"log/slog"
)

// news tells the log what a pass found that was not known, and what is wrong no more.
type news struct {
	monitor *Monitor
	log     *slog.Logger
	silent  bool // nobody knows what is new
	told    int
	untold  map[Class]int64
}

// found is told of each finding.
func (n *news) found(f Finding) error {
	m := n.monitor
	before, known := m.base.findings[f.OrderID]
	if known && before == f.Class || n.silent {
		return nil
	}
	m.metrics.isKnown(f.Class)
	switch {
	case known:
		m.metrics.isMended(before)
		m.base.findings[f.OrderID] = f.Class
	case len(m.base.findings) < m.config.Most:
		m.base.findings[f.OrderID] = f.Class
	default:
		m.incomplete = true
	}
	attrs := []any{"class", string(f.Class), "order_id", f.OrderID}
	if f.Order != "" {
		attrs = append(attrs, "status", string(f.Order))
	}
	if f.Payment != "" {
		attrs = append(attrs, "payment", string(f.Payment))
	}
	attrs = append(attrs, "why", f.Why, "do", f.Class.do())
	if f.Todo != "" {
		attrs = append(attrs, "see", "sagactl reconcile has the call")
	}
	level := slog.LevelInfo
	if f.Class.Fails() {
		level = slog.LevelError
	}
	if n.mayTell(f.Class) {
		n.log.Log(context.Background(), level, "finding", attrs...)
	}
	return nil
}

// gone is told of each finding that is none any more.
func (n *news) gone(id string, class Class) {
	if n.mayTell(class) {
		n.log.Info("finding is gone", "class", string(class), "order_id", id)
	}
}

// mayTell reports whether the log has room for a line, and counts those for which it has none.
func (n *news) mayTell(class Class) bool {
	if n.told < mostTold {
		n.told++
		return true
	}
	if n.untold == nil {
		n.untold = map[Class]int64{}
	}
	n.untold[class]++
	return false
}

// end tells how many there were more than the log has room for.
func (n *news) end(ctx context.Context) {
	for class, lines := range n.untold {
		n.log.WarnContext(ctx, "more findings came and went than are told", "class", string(class), "lines", lines,
			"see", "sagactl reconcile")
	}
}
