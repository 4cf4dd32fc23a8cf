package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/pg"
	"hosho/internal/scrape"
)

// Observed is what a daemon tells of its database. What else is to be asked of it on a scrape is added here.
type Observed struct {
	*scrape.Scrape

	schema atomic.Int64
}

// scrapePatience is how long the server works at one question of a scrape.
const scrapePatience = time.Second

var snapshotAge = prometheus.NewDesc("hosho_database_oldest_snapshot_age_seconds",
	"How long the oldest session, prepared transaction or replication slot has kept vacuum from taking dead rows of "+
		"the database away; 0: nobody does. Of other roles' sessions, where the login may not read all statistics, "+
		"and of slots it is since when this process has seen them at scrapes.", nil, nil)

// Observe shows a daemon's pools, its schema, and what in its database keeps dead rows.
func Observe(registry *prometheus.Registry, pools *pg.Pools, log *slog.Logger) *Observed {
	o := &Observed{Scrape: scrape.New(registry, log)}
	pools.Register(registry)
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hosho_schema_version",
		Help: "The newest migration of the database, as readiness has read it last; 0: it has not yet.",
	}, func() float64 { return float64(o.schema.Load()) }))
	var holders pg.Holders
	o.Add("snapshots", func(ctx context.Context) ([]prometheus.Metric, error) {
		age, err := holders.Oldest(ctx, pools.Reads, scrapePatience)
		if err != nil {
			return nil, err
		}
		metric, err := prometheus.NewConstMetric(snapshotAge, prometheus.GaugeValue, age.Seconds())
		return []prometheus.Metric{metric}, err
	}, snapshotAge)
	return o
}

// Schema notes the version of the database's schema, for migrations.Set.Ready to call.
func (o *Observed) Schema(version int64) { o.schema.Store(version) }
