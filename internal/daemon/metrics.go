package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// insecureDatabase is the process's own: a daemon has one database.
var insecureDatabase = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "hosho_database_insecure",
	Help: "1 where the database is off loopback and others may read along, as --insecure-database allows; else 0.",
})

// NewRegistry makes a registry of metrics that holds what every process tells about itself. A daemon makes one and
// hands it down to all that has something to count.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
		droppedLines,
		insecureDatabase,
	)
	return registry
}
