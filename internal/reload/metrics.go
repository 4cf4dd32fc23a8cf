package reload

import "github.com/prometheus/client_golang/prometheus"

// changes counts those of some files.
type changes struct {
	total          *prometheus.CounterVec
	taken, refused prometheus.Counter
}

func newChanges(what string) changes {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_tls_reloads_total",
		Help: "Changes of the files of certificates and policies, by what became of them: one that is refused is no " +
			"good, and what was there before is used. What has more than one fault may be refused more than once.",
		ConstLabels: prometheus.Labels{"what": what},
	}, []string{"result"})
	return changes{total, total.WithLabelValues("taken"), total.WithLabelValues("refused")}
}
