package daemon

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"hosho/internal/version"
)

// insecureDatabase is the process's own: a daemon has one database. Beside it there is that of gRPC (internal/rpc).
var insecureDatabase = prometheus.NewGauge(prometheus.GaugeOpts{
	Name:        "hosho_insecure",
	Help:        "1 where something is in plaintext off loopback, as a flag allows, by what it is; else 0.",
	ConstLabels: prometheus.Labels{"what": "database"},
})

// DatabaseIsInsecure has the metrics say so, in a process that takes its databases itself.
func DatabaseIsInsecure() { insecureDatabase.Set(1) }

// NewRegistry makes a registry of metrics that holds what every process tells about itself. A daemon makes one and
// hands it down to all that has something to count.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(),
		droppedLines,
		insecureDatabase,
	)
	return registry
}

// buildInfo says which hosho this is. It is always 1, to be joined with.
func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "hosho_build_info",
		Help:        "1, with the program's version and that of the Go that built it.",
		ConstLabels: prometheus.Labels{"version": version.String(), "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}
