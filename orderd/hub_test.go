package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
	"hosho/internal/wait"
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
	o, _, err := f.store.Place(t.Context(), orderdb.NewOrder{
		ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", Currency: "JPY", AmountMinor: 900,
		Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}}, Deadline: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (f *fixture) refresh(t *testing.T) {
	t.Helper()
	if err := f.hub.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestManyWatchersCostOneQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.refresh(t)
	if got := f.queries.Load(); got != 0 {
		t.Errorf("got %d queries while nobody watches, want none", got)
	}

	const orders, watchers = 100, 200
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = f.place(t).ID
	}
	all := make([]watcher, watchers)
	for i := range all {
		all[i] = f.hub.watch(ids[i%orders])
	}
	if _, err := f.db.Pool.Exec(t.Context(), `UPDATE orders SET status = 'COMPLETED'`); err != nil {
		t.Fatal(err)
	}
	f.refresh(t)
	if got := f.queries.Load(); got != 1 {
		t.Errorf("got %d queries for %d watchers, want 1", got, watchers)
	}
	for i, w := range all {
		o, err := f.hub.next(t.Context(), w, order.Pending)
		if err != nil || o.ID != ids[i%orders] || o.Status != order.Completed {
			t.Errorf("watcher %d: got order %s %s, error %v; want %s %s",
				i, o.ID, o.Status, err, ids[i%orders], order.Completed)
		}
		f.hub.forget(ids[i%orders], w)
	}
	f.refresh(t)
	if got := f.queries.Load(); got != 1 {
		t.Errorf("got %d queries after the last watcher left, want still 1", got)
	}
}

// A thousand wake-ups that come before the hub gets to them are one.
func TestWakeUpsThatComeTogetherAreOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 1000 {
		f.hub.wake()
	}
	if got := len(f.hub.wanted); got != 1 {
		t.Errorf("got %d wake-ups, want 1", got)
	}
}

// Wake-ups are lost, and the hub looks as often as it is told to: fifty times in the time of a test, and not once a
// second.
func TestTheHubLooksAsOftenAsItIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.hub.poll = func(usual time.Duration) time.Duration { return min(usual, time.Millisecond) }
	o := f.place(t)
	w := f.hub.watch(o.ID)
	defer f.hub.forget(o.ID, w)
	ctx, stop := context.WithTimeout(t.Context(), longWait)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.hub.run(ctx)
	}()
	for f.queries.Load() < 50 && wait.For(ctx, time.Millisecond) {
	}
	if got := f.queries.Load(); got < 50 {
		t.Errorf("got %d queries in %v, want more than one a second", got, longWait)
	}
	stop()
	<-ended
}

// A slow client takes nothing while its order passes through all of its statuses. The hub does not wait for it, and in
// the end it gets the latest state alone.
func TestASlowWatcherSkipsStatusesAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	slow, quick := f.hub.watch(o.ID), f.hub.watch(o.ID)
	var seen []order.Status
	last := order.Status("")
	for _, to := range order.Statuses {
		if to != order.Pending {
			_, err := f.db.Pool.Exec(t.Context(), `
				UPDATE orders
				SET status = $2, cancel_reason = CASE WHEN $2 IN ('CANCELLING', 'CANCELLED') THEN 'CUSTOMER' END
				WHERE id = $1`, o.ID, to)
			if err != nil {
				t.Fatal(err)
			}
		}
		f.refresh(t)
		got, err := f.hub.next(t.Context(), quick, last)
		if err != nil {
			t.Fatal(err)
		}
		last = got.Status
		seen = append(seen, last)
	}
	if diff := cmp.Diff(order.Statuses, seen); diff != "" {
		t.Errorf("what the quick one saw (-want +got):\n%s", diff)
	}
	got, err := f.hub.next(t.Context(), slow, order.Pending)
	if err != nil || got.Status != order.Cancelled {
		t.Errorf("the slow one: got %s, error %v; want %s", got.Status, err, order.Cancelled)
	}
}

// A watcher has read its order by itself, COMPLETED, when the hub comes with what it read a moment earlier. The old
// news is passed over, the next news is not.
func TestAWatcherNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil, slog.New(slog.DiscardHandler)) // it is told what to publish
		o := order.Order{ID: "1"}
		w := h.watch(o.ID)
		var got order.Status
		go func() {
			o, _ := h.next(t.Context(), w, order.Completed)
			got = o.Status
		}()
		for _, s := range []order.Status{order.Pending, order.Completed, order.Cancelling} {
			if o.Status = s; got != "" {
				t.Errorf("got %s, want it passed over", got)
			}
			h.publish([]order.Order{o})
			synctest.Wait() // it has been taken
		}
		if got != order.Cancelling {
			t.Errorf("got %s, want %s", got, order.Cancelling)
		}
	})
}

// The order changes after the watcher has registered and read it, and before the hub has ever asked: the change is not
// missed, since the hub has told nobody anything of the order yet.
func TestAChangeRightAfterTheFirstReadingIsNotMissed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	w := f.hub.watch(o.ID)
	if _, _, err := f.store.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	f.refresh(t)
	if got, err := f.hub.next(t.Context(), w, o.Status); err != nil || got.Status != order.Cancelling {
		t.Errorf("got %s, error %v; want %s", got.Status, err, order.Cancelling)
	}
}

func TestAWatcherThatLeavesWhileTheHubReadsIsNoProblem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	f.hub.forget(o.ID, f.hub.watch(o.ID))
	f.hub.publish([]order.Order{o})
	if got := len(f.hub.orders); got != 0 {
		t.Errorf("got %d orders watched, want none", got)
	}
}

func TestAClientThatGoesEndsItsWatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.hub.next(ctx, f.hub.watch(uuid.NewString()), order.Pending); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}
