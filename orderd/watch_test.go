package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
	"hosho/internal/slow"
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

// LISTEN is switched off: watchers are told when the server looks by itself.
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

// The server works, and LISTENs, through a pooler in transaction mode. It finds out that it hears nothing, says so, and
// has the hub look more often.
func TestAServerThatHearsNothingSaysSo(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for what does not come")
	db := pgtest.Orders(t)
	r := serveOn(t, db, pgtest.Pooler(t, db.URL, nil))
	lost := r.logs.await(t, "wake-ups lost, polling until they are back")
	if why := lost["error"].String(); !strings.Contains(why, "pooler") ||
		!strings.Contains(why, "--listen-database-url") {
		t.Errorf("got the reason %q, want the pooler, and what to do", why)
	}
	id := r.create(t).GetOrderId()
	s := r.watch(t, id, orderv1.Order_STATUS_PENDING)
	r.settle(t, id, "PENDING", "COMPLETED")
	s.want(t, orderv1.Order_STATUS_COMPLETED)
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

// The order's table is locked, so that the watcher's first reading waits. By then it must be registered: a change that
// comes after that reading would otherwise find nobody to tell.
func TestAWatcherIsRegisteredBeforeItReadsItsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	s := f.server(t)
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
		if got := s.hub.count(); got != 1 {
			t.Errorf("got %d orders watched while the first reading waits, want 1", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// server is an orderd without a gRPC server, whose hub is at work.
func (f *fixture) server(t *testing.T) *server {
	t.Helper()
	s := newServer(over(f.db.Pool), time.Minute, nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.hub.run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return s
}

// count returns how many orders are watched.
func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.orders)
}

// over has one pool do the work of all.
func over(pool *pgxpool.Pool) *pg.Pools { return &pg.Pools{Writes: pool, Reads: pool, Readiness: pool} }

var errFake = errors.New("the client is gone")

// fakeStream is a client that goes away after it has connected.
type fakeStream struct {
	grpc.ServerStreamingServer[orderv1.WatchOrderResponse]
	ctx context.Context
}

func (s fakeStream) Context() context.Context { return s.ctx }
func (fakeStream) SendMsg(any) error          { return errFake }
