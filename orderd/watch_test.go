package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
)

// watch opens a stream and takes the present state from it.
func (r *running) watch(t *testing.T, id string, want orderv1.Order_Status) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	t.Cleanup(cancel)
	opened, err := r.client.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{opened}
	s.want(t, want)
	return s
}

type stream struct {
	grpc.ServerStreamingClient[orderv1.WatchOrderResponse]
}

func (s *stream) want(t *testing.T, want orderv1.Order_Status) {
	t.Helper()
	reply, err := s.Recv()
	if err != nil || reply.GetOrder().GetStatus() != want {
		t.Fatalf("got %s, error %v; want %s", reply.GetOrder().GetStatus(), err, want)
	}
}

func (s *stream) wantEnd(t *testing.T) {
	t.Helper()
	if reply, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, error %v; want the end of the stream", reply, err)
	}
}

func TestAWatcherSeesTheOrderUntilItIsPaid(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)
	r.settle(t, id, "PENDING", "COMPLETED")
	r.wake(t)
	s.want(t, orderv1.Order_STATUS_COMPLETED)
	s.wantEnd(t)

	r.watch(t, id, orderv1.Order_STATUS_COMPLETED).wantEnd(t) // again, from the present state
}

func TestAWatcherSeesACancelUntilItIsDone(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
	s.want(t, orderv1.Order_STATUS_CANCELLING)
	r.settle(t, id, "CANCELLING", "CANCELLED")
	r.wake(t)
	s.want(t, orderv1.Order_STATUS_CANCELLED)
	s.wantEnd(t)
}

func TestAWatcherHearsOfAChangeWithoutAWakeUp(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)
	r.settle(t, id, "PENDING", "COMPLETED")
	s.want(t, orderv1.Order_STATUS_COMPLETED)
}

// Behind a pooler in transaction mode there is no LISTEN: watchers are told when the server looks by itself.
func TestAServerThatDoesNotListenTellsItsWatchers(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	r := serveOn(t, db, db.As(t, orderdb.OrderdNeeds()).URL, func(s *serve) { s.Wake = false })
	r.logs.await(t, "ready")
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)
	r.settle(t, id, "PENDING", "COMPLETED")
	r.wake(t)
	s.want(t, orderv1.Order_STATUS_COMPLETED)
	var listening int
	err := db.Pool.QueryRow(t.Context(), `
		SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'orderd listener'`).Scan(&listening)
	if err != nil || listening > 0 {
		t.Errorf("got %d connections that listen, error %v; want none", listening, err)
	}
}

// A server that stops ends its watchers, rather than waiting for them until it has to cut them off.
func TestAServerThatStopsEndsItsWatchers(t *testing.T) {
	t.Parallel()
	r := start(t)
	var streams []*stream
	for range 20 {
		streams = append(streams, r.watch(t, r.create(t).GetOrderId(), orderv1.Order_STATUS_PENDING))
	}
	began := time.Now()
	r.stop()
	if took := time.Since(began); took >= rpc.StopTimeout {
		t.Errorf("the server stopped after %s, want less than its limit of %s", took, rpc.StopTimeout)
	}
	for _, s := range streams {
		_, err := s.Recv()
		wantError(t, err, codes.Unavailable, "STOPPING")
	}
}

// The database goes away under a watcher, and comes back. The watcher is not cut off: it waits, and hears what
// happened.
func TestAWatcherOutlivesTheDatabasesAbsence(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)

	name := r.db.Pool.Config().ConnConfig.Database
	admin := pgtest.Empty(t)
	administer := func(sql string) {
		t.Helper()
		if _, err := admin.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	administer(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
	administer(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`)
	if behind := r.logs.await(t, "watchers")["behind"].Bool(); !behind {
		t.Error("got watchers that are not behind, want them behind")
	}
	administer(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS true`)

	r.db.Pool.Reset() // its connections were terminated as well
	r.settle(t, id, "PENDING", "COMPLETED")
	s.want(t, orderv1.Order_STATUS_COMPLETED)
	s.wantEnd(t)
}

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

// The order's table is locked, so that the watcher's first reading waits. By then it must be registered: a change that
// comes after that reading would otherwise find nobody to tell.
func TestAWatcherIsRegisteredBeforeItReadsItsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	s := newServer(over(f.db.Pool), time.Minute, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	var wait sync.WaitGroup
	defer wait.Wait()
	err := pgx.BeginFunc(ctx, f.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE orders IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		wait.Go(func() {
			err := s.WatchOrder(&orderv1.WatchOrderRequest{OrderId: o.ID}, fakeStream{ctx: ctx})
			if !errors.Is(err, errFake) {
				t.Errorf("got error %v, want the stream's", err)
			}
		})
		const waiting = `SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted`
		for n := 0; n == 0 && ctx.Err() == nil; {
			if err := tx.QueryRow(ctx, waiting).Scan(&n); err != nil {
				return err
			}
		}
		if got := s.hub.seen(); len(got) != 1 {
			t.Errorf("got %d orders watched while the first reading waits, want 1", len(got))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// over has one pool do the work of all.
func over(pool *pgxpool.Pool) *pg.Pools { return &pg.Pools{Writes: pool, Reads: pool, Readiness: pool} }

var errFake = errors.New("the client is gone")

// fakeStream is a client that goes away after it has connected.
type fakeStream struct {
	grpc.ServerStreamingServer[orderv1.WatchOrderResponse]
	ctx context.Context
}

func (s fakeStream) Context() context.Context             { return s.ctx }
func (fakeStream) Send(*orderv1.WatchOrderResponse) error { return errFake }

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
