package pg

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// wakes count wake-ups.
type wakes struct{ sent, failed, heard, lost prometheus.Counter }

func newWakes(registry prometheus.Registerer) wakes {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_wakeups_total",
		Help: "Wake-ups between processes, which are hints: sent, one for all that changed within 2 ms; failed to be " +
			"sent; heard; lost, which is once for each time that none were heard from then on, and what is new was " +
			"looked for.",
	}, []string{"result"})
	registry.MustRegister(total)
	return wakes{
		sent: total.WithLabelValues("sent"), failed: total.WithLabelValues("failed"),
		heard: total.WithLabelValues("heard"), lost: total.WithLabelValues("lost"),
	}
}

// wakeSent notes what became of a wake-up. One that its process did not wait for any more is neither.
func (m *meter) wakeSent(ctx context.Context, err error) {
	switch {
	case m == nil || ctx.Err() != nil:
	case err != nil:
		m.wakes.failed.Inc()
	default:
		m.wakes.sent.Inc()
	}
}

func (m *meter) wakeHeard() {
	if m != nil {
		m.wakes.heard.Inc()
	}
}

func (m *meter) wakesLost() {
	if m != nil {
		m.wakes.lost.Inc()
	}
}
