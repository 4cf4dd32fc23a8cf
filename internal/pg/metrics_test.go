package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// counted opens pools that are counted.
func counted(t testing.TB, address string) (*pg.Pools, *prometheus.Registry) {
	t.Helper()
	p, registry := pools(t, address, nil), prometheus.NewRegistry()
	p.Register(registry)
	return p, registry
}

// wantMetrics compares those of a name that are not 0.
func wantMetrics(t testing.TB, registry *prometheus.Registry, name string, want map[string]float64) {
	t.Helper()
	got := shown(t, registry, name)
	for labels, value := range got {
		if value != want[labels] {
			t.Errorf("%s{%s}: got %v, want %v", name, labels, value, want[labels])
		}
	}
	for labels := range want {
		if _, ok := got[labels]; !ok {
			t.Errorf("%s{%s}: got none, of %v", name, labels, got)
		}
	}
}

// shown returns the metrics of a name, by the values of their labels.
func shown(t testing.TB, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, label := range m.GetLabel() {
				values = append(values, label.GetValue())
			}
			all[strings.Join(values, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

const faults = "hosho_db_errors_total"

// What a caller is told of the database is counted once. What is his own doing, or is how repeats are found, is not.
func TestErrorsOfTheDatabaseAreCountedByWhatTheyMean(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE t (n int PRIMARY KEY)`)
	p, registry := counted(t, db.URL)
	ctx := t.Context()
	fail := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	_, err := ask(ctx, p.Reads, `SELECT n FROM t LIMIT 0`)
	fail("no row", err)
	fail("its own", pg.InTx(ctx, p.Writes, func(pgx.Tx) error { return errors.New("not so") }))
	if err := pg.Exec(ctx, p.Writes, `INSERT INTO t VALUES (1)`); err != nil {
		t.Error(err)
	}
	fail("a duplicate", pg.Exec(ctx, p.Writes, `INSERT INTO t VALUES (1)`))
	gone, leave := context.WithCancel(ctx)
	leave()
	fail("who has gone", pg.Exec(gone, p.Writes, `INSERT INTO t VALUES (2)`))
	wantMetrics(t, registry, faults, map[string]float64{"misconfigured": 0})

	_, err = ask(ctx, p.Reads, `SELECT n FROM missing`)
	fail("no table", err)
	fail("no table", pg.Exec(ctx, p.Writes, `INSERT INTO missing VALUES (1)`))
	fail("no column", pg.InTx(ctx, p.Writes, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT missing FROM t`)
		return err
	}))
	fail("no table", pg.Snapshot(ctx, p.Reads, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT n FROM missing`)
		return err
	}))
	_, err = ask(ctx, p.Reads, `SELECT 1 / (n - 1) FROM t`)
	fail("no number", err)
	fill(t, p.Reads)
	_, err = ask(ctx, p.Reads, `SELECT n FROM t`)
	fail("no connection", err)
	wantMetrics(t, registry, faults, map[string]float64{"misconfigured": 4, "unexpected": 1, "busy": 1})
}

func TestPoolsShowTheirConnections(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	p, registry := counted(t, db.URL)
	fill(t, p.Readiness)
	if _, err := ask(t.Context(), p.Reads, `SELECT 1`); err != nil {
		t.Fatal(err)
	}
	wantMetrics(t, registry, "hosho_db_connections", map[string]float64{"readiness,acquired": 1, "reads,idle": 1})
	wantMetrics(t, registry, "hosho_db_connections_max", map[string]float64{"writes": 16, "reads": 8, "readiness": 1})
	wantMetrics(t, registry, "hosho_db_acquire_seconds", map[string]float64{"reads": 1})
}

// A listener loses its connection and has another.
func TestWakeUpsAreCounted(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	p, registry := counted(t, db.URL)
	heard, lost := make(chan string, 1000), make(chan string, 1000)
	l := pg.NewListener(p.Writes, channel, discard)
	run(t, func(ctx context.Context) {
		l.Run(ctx, pg.Config{URL: db.URL, Application: "metered"}, func(about string) {
			if about == "" {
				lost <- about
			} else {
				heard <- about
			}
		})
	})
	receive(t, "the listener connects", lost)
	w := pg.NewWaker(p.Writes, channel)
	for n := range 4 { // the last one says that those before were counted
		w.WakeAbout(fmt.Sprint(n))
		if n == 0 {
			run(t, w.Run)
		}
		receive(t, "a wake-up", heard)
	}
	execute(t, db.Pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'metered listener' AND datname = current_database()`)
	receive(t, "wake-ups are lost", lost)
	got := shown(t, registry, "hosho_wakeups_total")
	if got["sent"] < 3 || got["heard"] != 4 || got["lost"] != 1 || got["failed"] != 0 {
		t.Errorf("got %v, want 4 sent and heard, and a loss", got)
	}
}

// What it costs a transaction to be counted.
func BenchmarkAcquire(b *testing.B) {
	db := pgtest.Empty(b)
	p := pools(b, db.URL, nil)
	for _, metered := range []bool{false, true} {
		if metered {
			p.Register(prometheus.NewRegistry())
		}
		b.Run(fmt.Sprintf("metered=%v", metered), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := pg.Exec(context.Background(), p.Writes, `SELECT 1`); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
