package reconcile_test

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
	"hosho/internal/roles"
	"hosho/migrations"
)

// The logins that are made for it can do what it does: the readers see all, and put nothing back; the repairing one
// sees and puts back.
func TestTheLoginsMayReconcile(t *testing.T) {
	t.Parallel()
	server, dir := pgtest.Own(t), t.TempDir()
	for _, set := range []migrations.Set{migrations.Orders, migrations.Payments} {
		if _, err := roles.Bootstrap(t.Context(), set, server.URL(string(set)), dir); err != nil {
			t.Fatal(err)
		}
		if _, err := set.Up(t.Context(), urlIn(t, dir, string(set)+"_migrator"), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := system{server.Create(t, "orders"), server.Create(t, "payments")}
	s.fill(t)
	run(t, s.orders.Pool, `DELETE FROM outbox WHERE key = $1`, cancelling)
	payments := openAs(t, dir, "payments_reader")
	want := []string{"stranded " + cancelling}
	reader := openAs(t, dir, "orders_reader")
	if got, _, _ := look(t, reader, payments, reconcile.Options{}); !slices.Equal(got, want) {
		t.Errorf("as readers: got %q, want %q", got, want)
	}
	monitor := reconcile.NewMonitor(reader, payments, reconcile.MonitorConfig{Log: slog.New(slog.DiscardHandler)})
	for _, want := range []reconcile.Pass{reconcile.Full, reconcile.Incremental} {
		if got, _, err := monitor.Pass(t.Context()); err != nil || got != want {
			t.Errorf("as readers, again and again: got %s, error %v; want %s", got, err, want)
		}
	}
	_, err := reconcile.Run(t.Context(), reader, payments, reconcile.Options{
		Repair: true, Found: func(reconcile.Finding) error { return nil },
	})
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		t.Errorf("as readers, to repair: got %v, want it refused", err)
	}
	got, _, summary := look(t, openAs(t, dir, "orders_repair"), payments, reconcile.Options{Repair: true})
	if !slices.Equal(got, want) || summary.PutBack != 1 {
		t.Errorf("to repair: got %q, and %d put back; want %q, and one", got, summary.PutBack, want)
	}
	if got, _, _ := look(t, reader, payments, reconcile.Options{}); len(got) > 0 {
		t.Errorf("after the repair: got %q, want nothing", got)
	}
}

func urlIn(t *testing.T, dir, login string) string {
	t.Helper()
	text, err := os.ReadFile(roles.URLFile(dir, login))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func openAs(t *testing.T, dir, login string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: urlIn(t, dir, login), Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
