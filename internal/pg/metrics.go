package pg

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// meters have the meter of each pool that is counted, by the *pgxpool.Pool. It is the pool that all who read and write
// are given, and nothing of ours fits into one.
var meters sync.Map

// meter counts what becomes of those who ask a pool. Nobody's counts nothing.
type meter struct {
	waits  prometheus.Observer
	errors [len(faultWords)]prometheus.Counter
	wakes  wakes
}

func meterOf(pool *pgxpool.Pool) *meter {
	if m, ok := meters.Load(pool); ok {
		return m.(*meter)
	}
	return nil
}

// seconds are the buckets of what takes far less than a millisecond, and a second at most.
var seconds = []float64{.0001, .0003, .001, .002, .005, .01, .03, .1, .3, 1, 3}

// Register shows the pools, what those wait who ask them, and what they are refused for. It is called before the pools
// are used.
func (p *Pools) Register(registry prometheus.Registerer) {
	waits := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hosho_db_acquire_seconds",
		Help: "How long those who read or write waited for a connection of a pool, in seconds: one to be free, or to " +
			"be made. Those who got none waited a second as a rule.",
		Buckets: seconds,
	}, []string{"pool"})
	errs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_db_errors_total",
		Help: "Transactions and queries that failed for the database's sake, once they were not tried again, by what " +
			"that means: unreachable, commit_unknown, collision, exhausted (disk, memory, another limit), busy (no " +
			"connection free in time, or a query that took too long), misconfigured (a right, a table, a login), " +
			"unexpected.",
	}, []string{"fault"})
	woken := newWakes(registry)
	all := map[string]*pgxpool.Pool{"writes": p.Writes, "reads": p.Reads, "readiness": p.Readiness}
	for name, pool := range all {
		m := &meter{waits: waits.WithLabelValues(name), wakes: woken}
		for fault, word := range faultWords {
			m.errors[fault] = errs.WithLabelValues(word)
		}
		meters.Store(pool, m)
	}
	registry.MustRegister(waits, errs, connections(all))
}

// uncount forgets the pool's meter.
func uncount(pool *pgxpool.Pool) { meters.Delete(pool) }

// waited notes what somebody waited for a connection since began.
func (m *meter) waited(began time.Time) {
	if m != nil {
		m.waits.Observe(time.Since(began).Seconds())
	}
}

// note counts an error that is the database's, and returns it. It is none of the database's when the caller has gone,
// when the caller's own function complains, or when a row is there already: that is how repeats are found.
func (m *meter) note(ctx context.Context, err error) error {
	if m == nil || err == nil {
		return err
	}
	fault := Classify(err)
	switch {
	case fault == Unexpected && !refusedByServer(err),
		fault == Unreachable && errors.Is(ctx.Err(), context.Canceled):
	default:
		m.errors[fault].Inc()
	}
	return err
}

func refusedByServer(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && Duplicates(err) == ""
}

var (
	connectionsDesc = prometheus.NewDesc("hosho_db_connections",
		"Connections to the database, by pool and state: acquired, which somebody uses; idle; constructing, which are "+
			"being made.", []string{"pool", "state"}, nil)
	limitDesc = prometheus.NewDesc("hosho_db_connections_max",
		"How many connections a pool has at most.", []string{"pool"}, nil)
)

// connections are those of pools, by what they are for.
type connections map[string]*pgxpool.Pool

// Describe is called by the registry.
func (connections) Describe(to chan<- *prometheus.Desc) {
	to <- connectionsDesc
	to <- limitDesc
}

// Collect is called by the registry. It asks the pools alone, which are in memory.
func (c connections) Collect(to chan<- prometheus.Metric) {
	for name, pool := range c {
		stat := pool.Stat()
		for state, n := range map[string]int32{
			"acquired": stat.AcquiredConns(), "idle": stat.IdleConns(), "constructing": stat.ConstructingConns(),
		} {
			to <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(n), name, state)
		}
		to <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(stat.MaxConns()), name)
	}
}
