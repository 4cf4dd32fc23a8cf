package main

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// stand has every order that is placed wait for a lock that it holds, until the test lets it go.
func (r *running) stand(t *testing.T) (letGo func()) {
	t.Helper()
	_, err := r.db.Pool.Exec(t.Context(), `
		CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(7);
			RETURN NEW;
		END $$;
		CREATE TRIGGER stand BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stand()`)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := r.db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_lock(7)`); err != nil {
		t.Fatal(err)
	}
	letGo = sync.OnceFunc(func() {
		if _, err := holder.Exec(context.WithoutCancel(t.Context()), `SELECT pg_advisory_unlock(7)`); err != nil {
			t.Error(err)
		}
		holder.Release()
	})
	t.Cleanup(letGo)
	return letGo
}

// Far more orders are placed than can be, since each that is placed stands. Those that come too many are told when to
// come back, and not that the database were away; and all other calls go on.
func TestOrdersAreCancelledAndReadWhileMoreArePlacedThanCanBe(t *testing.T) {
	t.Parallel()
	r := start(t)
	var before []string
	for range slow.Times(8, 50) {
		before = append(before, r.create(t).GetOrderId())
	}
	letGo := r.stand(t)
	ctx, end := context.WithCancel(t.Context())
	var placing sync.WaitGroup
	defer placing.Wait()
	defer end()
	var standing, refused atomic.Int64
	enough := make(chan struct{})
	for range 192 {
		placing.Go(func() {
			for ctx.Err() == nil {
				standing.Add(1)
				_, err := r.client.CreateOrder(ctx, request())
				standing.Add(-1)
				switch {
				case ctx.Err() != nil:
				case rpc.Reason(err) == "OVERLOADED":
					wantOverloaded(t, err)
					if refused.Add(1) == 200 {
						close(enough)
					}
					wait.For(ctx, 20*time.Millisecond) // more often would only keep this process busy
				case status.Code(err) == codes.Aborted: // the lock is not waited for for ever
				case rpc.Reason(err) == "COMMIT_UNKNOWN": // nor by a caller whose time is over before
				default:
					t.Errorf("got %v, want it refused for the load, or for the lock", err)
				}
			}
		})
	}
	receive(t, "creates are refused", enough)
	for _, id := range before {
		reply, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id})
		if err != nil || reply.GetOrder().GetStatus() != orderv1.Order_STATUS_CANCELLING {
			t.Errorf("cancel: got %v, error %v; want it CANCELLING", reply.GetOrder(), err)
		}
		if _, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id}); err != nil {
			t.Errorf("get: %v", err)
		}
		if _, err := r.client.ListOrders(t.Context(), &orderv1.ListOrdersRequest{}); err != nil {
			t.Errorf("list: %v", err)
		}
		r.watch(t, id, orderv1.Order_STATUS_CANCELLING)
		health, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health: got %v, error %v; want it serving", health, err)
		}
	}
	if standing.Load() == 0 {
		t.Error("got no call that stands any more: nothing was shown")
	}
	end()
	placing.Wait()
	letGo()
	ctx, end = context.WithTimeout(t.Context(), longWait)
	defer end()
	for { // those that stood may take a moment to be gone
		if _, err := r.client.CreateOrder(ctx, request()); err == nil {
			return
		} else if rpc.Reason(err) != "OVERLOADED" || !wait.For(ctx, 10*time.Millisecond) {
			t.Fatalf("after the lock: %v", err)
		}
	}
}

// Somebody has the table locked and does not let go. Who reads is told after five seconds that it is too much, and not
// that the database were away, or that the service were broken.
func TestAReadThatTakesTooLongIsToldToComeBack(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits for the bound of a read, 5 s, which internal/pg has with a shorter one")
	r := start(t)
	id := r.create(t).GetOrderId()
	err := pgx.BeginFunc(t.Context(), r.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `LOCK TABLE orders IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		_, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id})
		wantOverloaded(t, err)
		_, err = r.client.ListOrders(t.Context(), &orderv1.ListOrdersRequest{})
		wantOverloaded(t, err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id}); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func wantOverloaded(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, codes.ResourceExhausted, "OVERLOADED")
	if rpc.RetryDelay(err) <= 0 {
		t.Errorf("got %v, want it to say when to try again", err)
	}
}

// Whatever is at work has a connection: nobody waits in a pool.
func TestLanesHaveNoMoreSlotsThanThePoolsHaveConnections(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for _, size := range []string{"8", "16"} {
		pools, err := pg.OpenPools(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=" + size, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer pools.Close()
		l := newLanes(pools)
		writes, reads := creators(pools)+slots(t, l.cancel), slots(t, l.read)+slots(t, l.list)
		mostWrites, mostReads := int(pools.Writes.Config().MaxConns), int(pools.Reads.Config().MaxConns)
		if writes >= mostWrites || reads >= mostReads {
			t.Errorf("got %d slots of %d connections, and %d of %d for reads; want some to spare",
				writes, mostWrites, reads, mostReads)
		}
	}
}

// slots takes all of a lane, and returns how many there were.
func slots(t *testing.T, l *admission.Lane) (n int) {
	t.Helper()
	for {
		if _, err := l.Enter(t.Context()); err != nil {
			return n
		}
		n++
	}
}
