package orderdb_test

import (
	"context"
	"errors"
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

func TestPlaceWritesTheOrderWithItsCharge(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	n := request("r-1")
	n.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	o := place(t, s, n)

	want := order.Order{
		ID: n.ID, CustomerID: n.CustomerID, Items: n.Items, AmountMinor: n.AmountMinor, Currency: n.Currency,
		Status: order.Pending, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, DeadlineAt: o.DeadlineAt,
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(o, get(t, s, n.ID)); diff != "" {
		t.Errorf("the order read again (-placed +read):\n%s", diff)
	}
	if got := o.DeadlineAt.Sub(o.CreatedAt); got < n.Deadline-time.Second || got > n.Deadline+time.Second {
		t.Errorf("got a deadline %s after the creation, want %s", got, n.Deadline)
	}

	type command struct {
		Kind        string
		Payload     []byte
		ExpiresAt   time.Time
		Traceparent string
		Together    bool
	}
	rows, err := db.Pool.Query(t.Context(), `
		SELECT kind, payload, expires_at, traceparent, outbox.xmin = orders.xmin AS together
		FROM outbox
		JOIN orders ON orders.id = key`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[command])
	if err != nil {
		t.Fatal(err)
	}
	if want := o.DeadlineAt; !notAfter(t, o.ID, got.Payload).Equal(want) {
		t.Errorf("got not_after %s, want the deadline, %s", notAfter(t, o.ID, got.Payload), want)
	}
	charge := command{
		Kind: "CHARGE", Payload: got.Payload, ExpiresAt: o.DeadlineAt, Traceparent: n.Traceparent,
		Together: true, // written by one transaction
	}
	if diff := cmp.Diff(charge, got); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
}

// notAfter reads the payload of a charge, which must ask for newOrder.
func notAfter(t *testing.T, id string, payload []byte) time.Time {
	t.Helper()
	got, err := command.Decode(order.Charge, id, payload)
	if err != nil {
		t.Fatal(err)
	}
	charge := got.GetCharge()
	if amount := charge.GetAmount(); charge.GetCustomerId() != "alice" || amount.GetAmountMinor() != 900 ||
		amount.GetCurrencyCode() != "JPY" {
		t.Errorf("got %v, want what was ordered", charge)
	}
	return charge.GetNotAfter().AsTime()
}

func encoded(t *testing.T, kind order.Command, o order.Order) []byte {
	t.Helper()
	payload, err := command.Encode(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestARepeatedPlaceAnswersTheSameOrderAsItIsNow(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	first := place(t, s, request("r-1"))
	if _, _, err := s.Cancel(t.Context(), first.ID, ""); err != nil {
		t.Fatal(err)
	}

	got, fresh, err := s.Place(t.Context(), request("r-1"))
	if err != nil || fresh {
		t.Fatalf("got fresh %v, error %v; want the earlier order", fresh, err)
	}
	if diff := cmp.Diff(get(t, s, first.ID), got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if got.Status != order.Cancelling {
		t.Errorf("got status %s, want %s", got.Status, order.Cancelling)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM outbox WHERE kind = 'CHARGE'`); got != 1 {
		t.Errorf("got %d CHARGE rows, want 1", got)
	}
}

func TestARequestIDIsNotForAnotherBody(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	place(t, s, request("r-1"))

	other := request("r-1")
	other.Items, other.AmountMinor = []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 451}}, 902
	if _, _, err := s.Place(t.Context(), other); !errors.Is(err, orderdb.ErrRequestIDReused) {
		t.Errorf("got error %v, want ErrRequestIDReused", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM orders`); got != 1 {
		t.Errorf("got %d orders, want 1", got)
	}
}

func TestARequestIDIsACustomersOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	first := place(t, s, request("r-1"))

	other := request("r-1")
	other.CustomerID = "bob"
	if second := place(t, s, other); second.ID == first.ID {
		t.Errorf("got the order of another customer, %s", first.ID)
	}
}

func TestWithoutARequestIDEachPlaceIsAnOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	place(t, s, newOrder())
	place(t, s, newOrder())
	if got := count(t, db.Pool, `SELECT count(*) FROM outbox WHERE kind = 'CHARGE'`); got != 2 {
		t.Errorf("got %d CHARGE rows, want 2", got)
	}
}

// A hundred clients use one request id at once, half of them for another amount. Whichever comes first decides; those
// that asked for the same get that order, and the others are refused.
func TestAHundredPlacesOfOneRequestIDMakeOneOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	const clients = 100
	type answer struct {
		amount int64
		order  order.Order
		fresh  bool
		err    error
	}
	answers := make([]answer, clients)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		wait.Go(func() {
			n := request("r-1")
			if i%2 == 1 {
				n.Items, n.AmountMinor = []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 500}}, 1000
			}
			<-start
			o, fresh, err := s.Place(t.Context(), n)
			answers[i] = answer{n.AmountMinor, o, fresh, err}
		})
	}
	close(start)
	wait.Wait()

	rows, err := db.Pool.Query(t.Context(), `SELECT id::text, amount_minor FROM orders`)
	if err != nil {
		t.Fatal(err)
	}
	type winner struct {
		ID          string
		AmountMinor int64
	}
	won, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[winner])
	if err != nil {
		t.Fatalf("want one order: %v", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM outbox`); got != 1 {
		t.Errorf("got %d outbox rows, want 1", got)
	}
	fresh := 0
	for i, a := range answers {
		if a.fresh {
			fresh++
		}
		switch {
		case a.amount != won.AmountMinor && !errors.Is(a.err, orderdb.ErrRequestIDReused):
			t.Errorf("client %d asked for another amount: got %s, error %v; want ErrRequestIDReused",
				i, a.order.ID, a.err)
		case a.amount == won.AmountMinor && (a.err != nil || a.order.ID != won.ID):
			t.Errorf("client %d: got order %q, error %v; want %s", i, a.order.ID, a.err, won.ID)
		}
	}
	if fresh != 1 {
		t.Errorf("got %d clients that were told that the order is new, want 1", fresh)
	}
}

// hold has a session write the order of a request and not commit it.
func hold(t *testing.T, db *pgtest.Database, n orderdb.NewOrder) pgx.Tx {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // it may have ended
	_, err = tx.Exec(t.Context(), `
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + interval '15 minutes')`,
		n.ID, n.CustomerID, n.RequestID, order.Fingerprint(n.CustomerID, n.Currency, n.Items), n.Items, n.AmountMinor,
		n.Currency)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// A Place of a request id comes while another transaction that wrote it is open. It waits for that one: when it rolls
// back, it writes the order itself; when it commits, it returns that order.
func TestPlaceWaitsForItsCompetitor(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(pgx.Tx, context.Context) error{
		"that rolls back": pgx.Tx.Rollback, "that commits": pgx.Tx.Commit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			first, second := request("r-1"), request("r-1")
			competitor := hold(t, db, first)
			var wait sync.WaitGroup
			defer wait.Wait()
			wait.Go(func() {
				o, fresh, err := orderdb.New(db.Pool, command.Encode).Place(t.Context(), second)
				want, wantFresh := second.ID, true
				if name == "that commits" {
					want, wantFresh = first.ID, false
				}
				if err != nil || o.ID != want || fresh != wantFresh {
					t.Errorf("got order %s, fresh %v, error %v; want %s, %v", o.ID, fresh, err, want, wantFresh)
				}
			})
			awaitBlocked(t, db, 1)
			if err := end(competitor, t.Context()); err != nil {
				t.Error(err)
			}
			wait.Wait()
			if got := count(t, db.Pool, `SELECT count(*) FROM orders`); got != 1 {
				t.Errorf("got %d orders, want 1", got)
			}
		})
	}
}

// The session dies when the order is written and its command is not. Nothing may stay behind, and the same request must
// then make the order.
func TestASessionThatDiesBetweenTheTwoInsertsLeavesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	execute(t, db, `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
		CREATE TRIGGER die BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION die();`)
	if _, _, err := s.Place(t.Context(), request("r-1")); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got error %v, want ErrCommitUnknown", err)
	}
	for _, table := range []string{"orders", "outbox"} {
		if got := count(t, db.Pool, `SELECT count(*) FROM `+table); got != 0 {
			t.Errorf("got %d rows in %s, want none", got, table)
		}
	}
	execute(t, db, `DROP TRIGGER die ON outbox`)
	place(t, s, request("r-1"))
}

// The session dies while it commits: a deferred trigger kills it there. Nobody can know whether the order was written,
// so Place must say that, and the repeat under the same request id finds out.
func TestACommitWithoutAnAnswerIsSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	execute(t, db, `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER die AFTER INSERT ON outbox
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`)
	if _, _, err := s.Place(t.Context(), request("r-1")); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got error %v, want ErrCommitUnknown", err)
	}
	execute(t, db, `DROP TRIGGER die ON outbox`)
	place(t, s, request("r-1"))
}

func execute(t *testing.T, db *pgtest.Database, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // for clean-up too
	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestAnOrderThatCannotBeEncodedIsNotPlaced(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	broken := errors.New("broken")
	s := orderdb.New(db.Pool, func(order.Command, order.Order) ([]byte, error) { return nil, broken })
	if _, _, err := s.Place(t.Context(), newOrder()); !errors.Is(err, broken) {
		t.Errorf("got error %v, want the encoder's", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM orders`); got != 0 {
		t.Errorf("got %d orders, want none", got)
	}
}
