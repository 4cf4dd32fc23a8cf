package orderdb_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

func placeAll(t testing.TB, s *orderdb.Store, news ...orderdb.NewOrder) []orderdb.Placed {
	t.Helper()
	placed, err := s.PlaceAll(t.Context(), news)
	if err != nil || len(placed) != len(news) {
		t.Fatalf("got %d results, error %v; want %d", len(placed), err, len(news))
	}
	return placed
}

// other asks for another amount than request.
func other(id string) orderdb.NewOrder {
	n := request(id)
	n.Items, n.AmountMinor = []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 451}}, 902
	return n
}

// bad is an order that the database does not take.
func bad() orderdb.NewOrder {
	n := newOrder()
	n.AmountMinor = 0
	return n
}

// Whatever becomes of the others, each order of a batch gets what is its own.
func TestEachOrderOfABatchHasItsOwnOutcome(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	known := place(t, s, request("known"))
	taken := place(t, s, request("taken"))

	news := []orderdb.NewOrder{
		newOrder(), request("known"), bad(), request("new"), other("taken"), request("twice"), request("twice"),
		newOrder(), request("first"), other("first"), bad(), newOrder(),
	}
	placed := placeAll(t, s, news...)
	for i, p := range placed {
		if p.Err == nil {
			if diff := cmp.Diff(get(t, s, p.Order.ID), p.Order); diff != "" {
				t.Errorf("%d: order (-read +placed):\n%s", i, diff)
			}
		}
	}
	for _, i := range []int{0, 3, 7, 11} {
		if p := placed[i]; p.Err != nil || !p.Fresh || p.Order.ID != news[i].ID {
			t.Errorf("%d: got %+v, want a new order, %s", i, p, news[i].ID)
		}
	}
	if p := placed[1]; p.Err != nil || p.Fresh || p.Order.ID != known.ID {
		t.Errorf("a repeat: got %+v, want the order %s", p, known.ID)
	}
	for _, i := range []int{2, 10} {
		if p := placed[i]; p.Err == nil || pg.Classify(p.Err) != pg.Unexpected || p.Fresh {
			t.Errorf("%d: got %+v, want the database's refusal", i, p)
		}
	}
	if p := placed[4]; !errors.Is(p.Err, orderdb.ErrRequestIDReused) {
		t.Errorf("another body: got %+v, want ErrRequestIDReused", p)
	}
	if a, b := placed[5], placed[6]; a.Err != nil || b.Err != nil || a.Order.ID != b.Order.ID || a.Fresh == b.Fresh {
		t.Errorf("a request id that came twice: got %+v and %+v, want one order, which is new to one of them", a, b)
	}
	if a, b := placed[8], placed[9]; errors.Is(a.Err, orderdb.ErrRequestIDReused) ==
		errors.Is(b.Err, orderdb.ErrRequestIDReused) || a.Fresh == b.Fresh {
		t.Errorf("two bodies under a request id: got %+v and %+v, want one of them", a, b)
	}
	if got := count(t, db.Pool, `
		SELECT count(*)
		FROM orders
		JOIN outbox ON key = orders.id AND kind = 'CHARGE' AND outbox.xmin = orders.xmin`); got != 8 {
		t.Errorf("got %d orders with their commands, want 8", got)
	}
	if orders, commands := count(t, db.Pool, `SELECT count(*) FROM orders`),
		count(t, db.Pool, `SELECT count(*) FROM outbox`); orders != 8 || commands != 8 {
		t.Errorf("got %d orders and %d commands, want 8", orders, commands)
	}
	if o := get(t, s, taken.ID); o.AmountMinor != 900 {
		t.Errorf("got %d for the order whose request id was used again, want 900", o.AmountMinor)
	}
}

// Somebody is about to use the request id of one of them. The others do not wait for him.
func TestOneWhoseRequestIDSomebodyHoldsFailsAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	held := hold(t, db, request("held"))
	var news []orderdb.NewOrder
	for i := range 30 {
		news = append(news, request(fmt.Sprintf("h-%d", i)))
	}
	news[17] = request("held")
	for i, p := range placeAll(t, s, news...) {
		switch {
		case i == 17 && pg.Classify(p.Err) != pg.Collision:
			t.Errorf("got %+v, want a collision", p)
		case i != 17 && (p.Err != nil || !p.Fresh):
			t.Errorf("%d: got %+v, want a new order", i, p)
		}
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	place(t, s, news[17])
}

// What is sent again with the same ids is written once, whether or not it has a request id.
func TestWhatIsSentAgainIsWrittenOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	news := []orderdb.NewOrder{newOrder(), request("r-1"), newOrder()}
	first := placeAll(t, s, news...)
	if diff := cmp.Diff(first, placeAll(t, s, append(news, newOrder())...)[:3]); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM outbox JOIN orders ON orders.id = key`); got != 4 {
		t.Errorf("got %d orders with commands, want 4", got)
	}
}

// The session dies in the first COMMIT. Nobody is told: the same is sent again, and its outcome is known then.
func TestACommitWithoutAnAnswerIsSentAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	execute(t, db, `
		CREATE SEQUENCE deaths;
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('deaths') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER die AFTER INSERT ON outbox
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`)
	for i, p := range placeAll(t, s, newOrder(), request("r-1"), newOrder()) {
		if p.Err != nil || !p.Fresh {
			t.Errorf("%d: got %+v, want a new order", i, p)
		}
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM orders`); got != 3 {
		t.Errorf("got %d orders, want 3", got)
	}
}

// An outage is told as the one of all of them.
func TestAnErrorOfAllIsOne(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	config := db.Pool.Config()
	config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Fallbacks = "127.0.0.1", 1, nil
	s := orderdb.New(poolOf(t, config), command.Encode)
	_, err := s.PlaceAll(t.Context(), []orderdb.NewOrder{newOrder(), newOrder()})
	if pg.Classify(err) != pg.Unreachable || err == nil {
		t.Errorf("got %v, want that the database cannot be reached", err)
	}
}

// The deadline is the database's, in the order, in its command and in what the command says.
func TestThePayloadSaysTheDeadlineToTheMicrosecond(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	var news []orderdb.NewOrder
	for i := range 200 {
		n := newOrder()
		n.Deadline = time.Duration(i*i)*16*time.Hour + time.Duration(i)*12347*time.Microsecond // to 2098
		news = append(news, n)
	}
	for i, p := range placeAll(t, s, news...) {
		var payload []byte
		var expires time.Time
		if err := db.Pool.QueryRow(t.Context(), `SELECT payload, expires_at FROM outbox WHERE key = $1`, p.Order.ID).
			Scan(&payload, &expires); err != nil {
			t.Fatal(err)
		}
		if got := notAfter(t, p.Order.ID, payload); !got.Equal(p.Order.DeadlineAt) || !expires.Equal(got) {
			t.Errorf("%d: got not_after %s, the row's expiry %s, want %s", i, got, expires, p.Order.DeadlineAt)
		}
	}
}

// Many batches with the same request ids, in other orders, at once: each id makes one order, and nobody waits in a
// circle.
func TestBatchesThatShareRequestIDsDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	const batches, ids, rounds = 8, 40, 5
	var wait sync.WaitGroup
	for b := range batches {
		wait.Go(func() {
			for round := range rounds {
				var news []orderdb.NewOrder
				for i := range ids {
					news = append(news, request(fmt.Sprintf("r-%d-%d", round, (i*(2*b+1)+b)%ids)))
				}
				placed, err := s.PlaceAll(t.Context(), news)
				if err != nil {
					t.Errorf("got %v", err)
				}
				for i, p := range placed {
					if p.Err != nil || p.Order.CustomerID != news[i].CustomerID {
						t.Errorf("got %+v, want an order", p)
					}
				}
			}
		})
	}
	wait.Wait()
	if got := count(t, db.Pool, `SELECT count(*) FROM orders`); got != ids*rounds {
		t.Errorf("got %d orders, want %d", got, ids*rounds)
	}
}

// A pooler that knows no prepared statements is used without them; then pgx goes by the types of the arguments.
func TestOrdersArePlacedWithoutADescription(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		config := db.Pool.Config()
		config.ConnConfig.DefaultQueryExecMode = mode
		pool := poolOf(t, config)
		s := orderdb.New(pool, command.Encode)
		n := request(fmt.Sprint(int(mode)))
		n.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		for i, p := range placeAll(t, s, newOrder(), n) {
			if p.Err != nil || !p.Fresh {
				t.Errorf("%s, %d: got %+v, want a new order", mode, i, p)
			}
		}
		if p := placeAll(t, s, n)[0]; p.Err != nil || p.Order.ID != n.ID {
			t.Errorf("%s: got %+v, want it again", mode, p)
		}
	}
}
