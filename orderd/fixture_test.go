package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// fixture is a hub that is driven by hand, on a store whose queries are counted.
type fixture struct {
	hub     *hub
	db      *pgtest.Database
	store   *orderdb.Store
	queries *atomic.Int64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.Orders(t)
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	counted := &queries{}
	config.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &fixture{
		hub: newHub(orderdb.New(pool, command.Encode), slog.New(slog.DiscardHandler)), db: db,
		store: orderdb.New(db.Pool, command.Encode), queries: &counted.count,
	}
}

type queries struct{ count atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.count.Add(1)
	return ctx
}

func (*queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (f *fixture) place(t *testing.T) order.Order {
	t.Helper()
	o, _, err := f.store.Place(t.Context(), unplaced())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// unplaced is an order that was not placed yet.
func unplaced() orderdb.NewOrder {
	return orderdb.NewOrder{
		ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", Currency: "JPY", AmountMinor: 900,
		Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}}, Deadline: time.Minute,
	}
}

func (f *fixture) refresh(t *testing.T) {
	t.Helper()
	if _, err := f.hub.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// watch has somebody watch an order.
func (f *fixture) watch(id string) latest {
	w := newLatest()
	f.hub.watch(id, w, true)
	return w
}

// next waits for what a watcher hears next of an order that it knows with a status.
func (f *fixture) next(t *testing.T, w latest, known order.Status) order.Order {
	t.Helper()
	n, err := w.next(t.Context(), f.hub, known)
	if err != nil {
		t.Fatal(err)
	}
	return n.order
}
