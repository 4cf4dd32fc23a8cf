package orderdb_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

func TestMain(m *testing.M) {
	slow.Walks(30)
	pgtest.Main(m)
}

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// complete is what a relay writes when it hears that an order is paid.
const complete = `UPDATE orders SET status = 'COMPLETED' WHERE id = $1 AND status = 'PENDING'`

// newOrder is a valid order; each has an id of its own.
func newOrder() orderdb.NewOrder {
	return orderdb.NewOrder{
		ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", Currency: "JPY", AmountMinor: 900,
		Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}}, Deadline: 15 * time.Minute,
	}
}

// request is newOrder under a request id.
func request(id string) orderdb.NewOrder {
	n := newOrder()
	n.RequestID = id
	return n
}

func place(t testing.TB, s *orderdb.Store, n orderdb.NewOrder) order.Order {
	t.Helper()
	o, fresh, err := s.Place(t.Context(), n)
	if err != nil || !fresh {
		t.Fatalf("place: got fresh %v, error %v; want a new order", fresh, err)
	}
	return o
}

// placed is an order brought to a status, by the shortest legal way, with the commands that belong to it.
func placed(t testing.TB, db *pgtest.Database, status order.Status) order.Order {
	t.Helper()
	return placedAs(t, db, newOrder(), status)
}

func placedAs(t testing.TB, db *pgtest.Database, n orderdb.NewOrder, status order.Status) order.Order {
	t.Helper()
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, n)
	if status == order.Completed {
		settle(t, db.Pool, o.ID, order.Pending, order.Completed)
	}
	if status == order.Cancelling || status == order.Cancelled {
		if _, changed, err := s.Cancel(t.Context(), o.ID, ""); err != nil || !changed {
			t.Fatalf("cancel: got changed %v, error %v", changed, err)
		}
	}
	if status == order.Cancelled {
		settle(t, db.Pool, o.ID, order.Cancelling, order.Cancelled)
	}
	return get(t, s, o.ID)
}

// settle does in one transaction what a relay does when it has heard the outcome of an order.
func settle(t testing.TB, pool *pgxpool.Pool, id string, from, to order.Status) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(t.Context(), `UPDATE orders SET status = $3 WHERE id = $1 AND status = $2`, id, from, to)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("order %s is not %s", id, from)
		}
		_, err = tx.Exec(t.Context(), `DELETE FROM outbox WHERE key = $1`, id)
		return err
	})
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
}

func get(t testing.TB, s *orderdb.Store, id string) order.Order {
	t.Helper()
	o, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// commands lists the kinds in the outbox for an order, CHARGE before VOID.
func commands(t testing.TB, pool *pgxpool.Pool, id string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT kind FROM outbox WHERE key = $1 ORDER BY kind`, id)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// count returns the one number that a query selects.
func count(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits for something that another session does.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(longWait); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", longWait, what)
		}
	}
}

// awaitBlocked waits until n sessions of the database wait for locks of others.
func awaitBlocked(t testing.TB, db *pgtest.Database, n int) {
	t.Helper()
	eventually(t, "sessions wait for a lock", func() bool {
		return count(t, db.Pool, `
			SELECT count(*)
			FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) == n
	})
}

// traced is a Store whose queries are counted.
func traced(t testing.TB, db *pgtest.Database) (*orderdb.Store, *queries) {
	t.Helper()
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	seen := &queries{}
	config.ConnConfig.Tracer = seen
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return orderdb.New(pool, command.Encode), seen
}

// queries is a pgx tracer.
type queries struct {
	count atomic.Int64
	last  atomic.Pointer[pgx.TraceQueryStartData]
}

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.count.Add(1)
	q.last.Store(&data)
	return ctx
}

func (*queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// claimAll does what the workers of both kinds do: it claims the charges that are due, and then the voids.
func claimAll(t testing.TB, pool *pgxpool.Pool, lease time.Duration, limit, alone int) (claimed []outbox.Message) {
	t.Helper()
	for _, kind := range order.Commands {
		queue := outbox.NewQueue(pool, orderdb.Outbox, string(kind), lease)
		messages, err := queue.Claim(t.Context(), limit, alone)
		if err != nil {
			t.Fatal(err)
		}
		claimed = append(claimed, messages...)
	}
	return claimed
}

func poolOf(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
