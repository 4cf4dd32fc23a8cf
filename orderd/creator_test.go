package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/wait"
)

func newOrder(requestID string) orderdb.NewOrder {
	return orderdb.NewOrder{
		ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", RequestID: requestID, Currency: "JPY",
		AmountMinor: 900, Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}}, Deadline: time.Minute,
	}
}

// creating is a creator with some connections, on a database of its own.
func creating(t *testing.T, connections int) (*creator, *pgtest.Database) {
	t.Helper()
	db := pgtest.Orders(t)
	store := orderdb.New(db.Pool, command.Encode)
	return newCreator(store, admission.NewLane("create", 1), connections, newMetrics(nil), nil), db
}

// lock has a session hold a lock that every order waits for which has a customer of the name; the function that it
// returns lets go.
func lock(t *testing.T, db *pgtest.Database, customer string) (letGo func()) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), fmt.Sprintf(`
		CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(7);
			RETURN NEW;
		END $$;
		CREATE TRIGGER stand BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.customer_id = '%s')
			EXECUTE FUNCTION stand()`, customer))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(7)`); err != nil {
		t.Fatal(err)
	}
	letGo = sync.OnceFunc(func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(letGo)
	return letGo
}

// awaitLocked waits until an order waits for the lock.
func awaitLocked(t *testing.T, db *pgtest.Database) {
	t.Helper()
	awaitOne(t, db, `
		SELECT count(*)
		FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event = 'advisory'`)
}

// awaitOne waits until a query counts something.
func awaitOne(t *testing.T, db *pgtest.Database, count string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for n := 0; n == 0; wait.For(ctx, 5*time.Millisecond) {
		if err := db.Pool.QueryRow(ctx, count).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

// held has a session write the order of a request and not commit it.
func held(t *testing.T, db *pgtest.Database, customer, requestID string) pgx.Tx {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // it may have ended
	_, err = tx.Exec(t.Context(), `
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		VALUES (gen_random_uuid(), $1, $2, '\x00', '[{}]', 1, 'JPY', clock_timestamp())`, customer, requestID)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// toldBy is a customer.
type toldBy func(o order.Order, fresh bool, err error)

func (f toldBy) placed(o order.Order, fresh bool, err error) { f(o, fresh, err) }

// What comes while a commit is under way is committed together: by one transaction.
func TestOrdersThatComeDuringACommitAreCommittedTogether(t *testing.T) {
	t.Parallel()
	c, db := creating(t, 1) // without another connection nobody goes beside the first
	letGo := lock(t, db, "first")
	defer letGo()
	var open sync.WaitGroup
	placeAll := func(customer string, n int) {
		for range n {
			o := newOrder("")
			o.CustomerID = customer
			open.Add(1)
			c.add(placing{order: &o, who: toldBy(func(_ order.Order, fresh bool, err error) {
				defer open.Done()
				if err != nil || !fresh {
					t.Errorf("got fresh %t, error %v; want a new order", fresh, err)
				}
			})})
		}
	}
	placeAll("first", 1)
	placeAll("others", 40)
	letGo()
	open.Wait()
	var transactions int
	err := db.Pool.QueryRow(t.Context(), `SELECT count(DISTINCT xmin::text) FROM orders WHERE customer_id = 'others'`).
		Scan(&transactions)
	if err != nil || transactions != 1 {
		t.Errorf("got %d transactions, error %v; want 1 after the first", transactions, err)
	}
}

// A session holds the request id of one of many. The others do not wait for it; nor do those that come later, with the
// same request id among them. When the session lets go, the order is placed.
func TestWhoseRequestIDSomebodyHoldsStopsNobody(t *testing.T) {
	t.Parallel()
	r := start(t)
	holder := held(t, r.db, "alice", "held")
	wanted := func(id string) *orderv1.CreateOrderRequest {
		w := request()
		w.RequestId = &id
		return w
	}
	waiting := make(chan error, 1)
	go func() {
		for {
			_, err := r.client.CreateOrder(context.WithoutCancel(t.Context()), wanted("held"))
			if code := status.Code(err); code != codes.ResourceExhausted && code != codes.Aborted {
				waiting <- err
				return
			}
		}
	}()
	var others sync.WaitGroup
	for i := range 8 {
		others.Go(func() {
			for n := range 40 {
				if _, err := r.client.CreateOrder(t.Context(), wanted(fmt.Sprintf("r-%d-%d", i, n))); err != nil {
					t.Errorf("got %v, want it placed", err)
				}
			}
		})
	}
	others.Wait()
	select {
	case err := <-waiting:
		t.Errorf("got %v for the request id that is held, want no answer yet", err)
	default:
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the order whose request id was held", waiting); err != nil {
		t.Errorf("got %v, want it placed", err)
	}
}

// A caller who goes away is answered at once. The order may be placed all the same, and its request id finds it.
func TestACallerWhoGoesAwayMayFindHisOrderPlaced(t *testing.T) {
	t.Parallel()
	c, db := creating(t, 2)
	letGo := lock(t, db, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	n := newOrder("r-1")
	go func() {
		_, _, err := c.place(ctx, n)
		answered <- err
	}()
	awaitLocked(t, db)
	cancel()
	if err := receive(t, "the answer", answered); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want ErrCommitUnknown", err)
	}
	letGo()
	awaitOne(t, db, `SELECT count(*) FROM orders`) // the next statement does not wait for one that is late
	again := newOrder("r-1")
	o, fresh, err := c.place(t.Context(), again)
	if err != nil || fresh || o.ID != n.ID {
		t.Errorf("got order %s, fresh %t, error %v; want %s again", o.ID, fresh, err, n.ID)
	}
}

// Who has gone before his order was begun is not served.
func TestWhatNobodyWaitsForIsNotBegun(t *testing.T) {
	t.Parallel()
	c, db := creating(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := make(chan error, 1)
	o := newOrder("")
	c.add(placing{order: &o, ctx: ctx, who: toldBy(func(_ order.Order, _ bool, err error) { gone <- err })})
	if err := receive(t, "the answer", gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	var n int
	if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n); err != nil || n != 0 {
		t.Errorf("got %d orders, error %v; want none", n, err)
	}
}

// Each of many calls at once gets its own answer.
func TestEachCallHasItsOwnOutcome(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := "taken"
	taken := request()
	taken.RequestId = &id
	first, err := r.client.CreateOrder(t.Context(), taken)
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			w := request()
			switch i % 4 {
			case 0:
				w.RequestId = &id
			case 1:
				w.RequestId, w.Items[0].Quantity = &id, 3
			}
			reply, err := r.client.CreateOrder(t.Context(), w)
			switch {
			case i%4 == 1:
				wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
			case err != nil:
				t.Errorf("%d: %v", i, err)
			case (i%4 == 0) != (reply.GetOrder().GetOrderId() == first.GetOrder().GetOrderId()):
				t.Errorf("%d: got order %s", i, reply.GetOrder().GetOrderId())
			}
		})
	}
	calls.Wait()
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 101 {
		t.Errorf("got %d orders, want 101", n)
	}
}
