package orderdb_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Findings are settled in two ways: with one statement, when they say that an order is paid and leave no attempt, and
// one by one. An order must come to the same either way.

// finder makes a finding about a command.
type finder func(order.Event, outbox.Message) orderdb.Finding

// atOnce is found, but that what is stored was heard from a first delivery: it leaves no attempt.
func atOnce(event order.Event, m outbox.Message) orderdb.Finding {
	f := found(event, m)
	if event.Fact() {
		f.Delivery.Result = outbox.Decided
	}
	return f
}

// way is one way for even numbers, and the other for odd ones.
func way(n int) finder {
	return []finder{found, atOnce}[n%2]
}

// eachWay runs a test in both ways.
func eachWay(t *testing.T, test func(t *testing.T, found finder)) {
	t.Helper()
	for n, name := range []string{"one by one", "at once"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, way(n))
		})
	}
}

// A batch as a busy relay has it: nearly all of its orders are paid, and go with one statement, whatever else is in it.
func TestPaidOrdersAreSettledWithOneStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s, seen := traced(t, db)
	var findings []orderdb.Finding
	for range 50 {
		findings = append(findings, atOnce(order.PaymentCharged, claimed(t, db, place(t, s, newOrder()).ID)))
	}
	before := seen.count.Load()
	done := apply(t, s, findings[:25]...)
	if got := seen.count.Load() - before; got != 1 || len(done.Changes) != 25 || len(done.Later) > 0 {
		t.Errorf("got %d statements, %d changes, later %v; want one, 25 and none", got, len(done.Changes), done.Later)
	}
	declined := place(t, s, newOrder())
	findings[3] = decided(order.PaymentDeclined, claimed(t, db, declined.ID))
	done = apply(t, s, findings...) // of which 24 are old news by now
	if len(done.Changes) != 26 || len(done.Later) > 0 {
		t.Errorf("got %d changes, later %v; want 26 and none", len(done.Changes), done.Later)
	}
	if n := count(t, db.Pool, `SELECT count(*) FROM orders WHERE status <> 'COMPLETED'`); n != 1 {
		t.Errorf("%d orders are not COMPLETED, want the one that was declined", n)
	}
	if n := count(t, db.Pool, `SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("got %d commands left, want none", n)
	}
}

// An order that is traced goes with the others, in the same transaction, and its delivery is recorded beside them.
func TestATracedOrderIsSettledWithTheOthers(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s, seen := traced(t, db)
	var findings []orderdb.Finding
	for range 60 { // which is enough for the orders that lie near each other, too
		findings = append(findings, atOnce(order.PaymentCharged, claimed(t, db, place(t, s, newOrder()).ID)))
	}
	findings[7].Delivery.Traced, findings[40].Delivery.Traced = true, true
	before := seen.count.Load()
	done := apply(t, s, findings...)
	if got := seen.count.Load() - before; got != 2 || len(done.Changes) != 60 {
		t.Errorf("got %d statements, %d changes; want one that settles, one that records; 60", got, len(done.Changes))
	}
	const inOne = `
		SELECT count(*)
		FROM attempts
		JOIN orders ON orders.id = attempts.order_id
		WHERE attempts.at <= orders.updated_at AND attempts.xmin = orders.xmin`
	if n := count(t, db.Pool, inOne); n != 2 {
		t.Errorf("%d deliveries are recorded by the transaction that settled their orders, ahead of that; want two", n)
	}
	apply(t, s, findings...)
	if n := count(t, db.Pool, `SELECT count(*) FROM attempts`); n != 2 {
		t.Errorf("got %d attempts after the same was found twice, want two", n)
	}
}

// A pooler that knows no prepared statements is used without them; then pgx goes by the types of the arguments.
func TestPaidOrdersAreSettledWithoutADescription(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		config := db.Pool.Config()
		config.ConnConfig.DefaultQueryExecMode = mode
		s := orderdb.New(poolOf(t, config), command.Encode)
		paid := place(t, s, newOrder())
		note := orderdb.Note{
			OrderID: uuid.MustParse(paid.ID), Status: paid.Status, CustomerID: paid.CustomerID,
			AmountMinor: paid.AmountMinor, Currency: paid.Currency, DeadlineAt: paid.DeadlineAt,
		}
		other := note
		other.OrderID = uuid.New()
		got, err := s.Doubtful(t.Context(), []orderdb.Note{note, other})
		if err != nil || !slices.Equal(got, []int{1}) {
			t.Errorf("%s: got %v doubtful, error %v; want the other one", mode, got, err)
		}
		findings := []orderdb.Finding{atOnce(order.PaymentCharged, claimed(t, db, paid.ID))}
		if done := apply(t, s, findings...); len(done.Changes) != 1 {
			t.Errorf("%s: got %+v, want one order settled", mode, done)
		}
		another := claimed(t, db, place(t, s, newOrder()).ID)
		findings = append(findings, atOnce(order.PaymentCharged, another)) // the first one is old news
		if done := apply(t, s, findings...); len(done.Changes) != 1 {
			t.Errorf("%s: got %+v, want the other order settled", mode, done)
		}
	}
}

// Every command of an order that is paid leaves, and nobody else's: somebody has put a second one there by hand.
func TestAllCommandsOfAPaidOrderLeave(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	paid, other := place(t, s, newOrder()), place(t, s, newOrder())
	charge := claimed(t, db, paid.ID)
	add(t, db, paid.ID, order.Void)
	apply(t, s, atOnce(order.PaymentCharged, charge))
	if got := commands(t, db.Pool, paid.ID); len(got) != 0 {
		t.Errorf("got commands %v, want none", got)
	}
	if diff := cmp.Diff([]string{"CHARGE"}, commands(t, db.Pool, other.ID)); diff != "" {
		t.Errorf("another order's commands (-want +got):\n%s", diff)
	}
}

// The other findings of a batch cannot be applied. What was committed before is told along with the error, since it is
// no news when all of them come again.
func TestWhatWasSettledBeforeAnErrorIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	completed, m := standingIn(t, db, newOrder(), order.State{Status: order.Completed}, order.Charge)
	paid := place(t, s, newOrder())
	findings := []orderdb.Finding{
		found(order.OperatorSettles, m), atOnce(order.PaymentCharged, claimed(t, db, paid.ID)),
	}
	done, err := s.Settle(t.Context(), findings)
	var illegal *order.IllegalError
	if !errors.As(err, &illegal) || illegal.Status != completed.Status {
		t.Errorf("got error %v, want an *order.IllegalError", err)
	}
	want := []orderdb.Change{{
		OrderID: paid.ID, From: order.Pending, To: order.Completed, Event: order.PaymentCharged, Code: "SAID",
		Told: true, AmountMinor: paid.AmountMinor, Currency: paid.Currency,
	}}
	if diff := cmp.Diff(want, done.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	done, err = s.Settle(t.Context(), findings)
	if !errors.As(err, &illegal) || len(done.Changes) > 0 {
		t.Errorf("again: got error %v and %+v, want the same error and no news", err, done)
	}
	if got := get(t, s, paid.ID).Status; got != order.Completed {
		t.Errorf("got %s, want %s", got, order.Completed)
	}
}

// The session dies between the statuses and the outbox, or within the COMMIT. Neither has changed then, and all of it
// may be done again, and once more.
func TestPaidOrdersOfASessionThatDies(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	finding := atOnce(order.PaymentCharged, claimed(t, db, o.ID))
	for _, window := range []struct{ trigger, table string }{
		{`CREATE TRIGGER killer BEFORE UPDATE ON orders`, "orders"},
		{`CREATE TRIGGER killer BEFORE DELETE ON outbox`, "outbox"},
		{`CREATE CONSTRAINT TRIGGER killer AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED`, "orders"},
	} {
		killer(t, db, window.trigger)
		// The COMMIT is on its way when the statement fails, and might have been heard.
		if _, err := s.Settle(t.Context(), []orderdb.Finding{finding}); !errors.Is(err, pg.ErrCommitUnknown) {
			t.Errorf("%s: got error %v, want ErrCommitUnknown", window.trigger, err)
		}
		spare(t, db, window.table)
		eventually(t, "the session that died lets go of its locks", func() bool { return free(t, db) == 1 })
		if diff := cmp.Diff(o, get(t, s, o.ID)); diff != "" {
			t.Errorf("%s: order (-before +after):\n%s", window.trigger, diff)
		}
		if diff := cmp.Diff([]string{"CHARGE"}, commands(t, db.Pool, o.ID)); diff != "" {
			t.Errorf("%s: commands (-want +got):\n%s", window.trigger, diff)
		}
	}
	for range 2 {
		apply(t, s, finding)
		if got := get(t, s, o.ID).Status; got != order.Completed {
			t.Errorf("got %s, want %s", got, order.Completed)
		}
		if got := commands(t, db.Pool, o.ID); len(got) != 0 {
			t.Errorf("got commands %v, want none", got)
		}
	}
}

// Another relay claims the command while the first settles it: the claim is committed between what the settlement sees
// and what it takes away. The command leaves all the same, or a settled order would keep it.
func TestACommandThatIsClaimedMeanwhileLeavesWithItsOrder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, nearby} {
		t.Run(fmt.Sprintf("of %d", n), func(t *testing.T) {
			t.Parallel()
			claimedMeanwhile(t, n)
		})
	}
}

func claimedMeanwhile(t *testing.T, n int) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	news := together(n)
	findings := charged(t, db, news...)
	o := news[n/2]
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	const claim = `UPDATE outbox SET claims = claims + 1, lease_token = gen_random_uuid() WHERE key = $1`
	if _, err := tx.Exec(t.Context(), claim, o.ID); err != nil {
		t.Fatal(err)
	}
	settled := make(chan error, 1)
	go func() {
		_, err := s.Settle(t.Context(), findings)
		settled <- err
	}()
	awaitBlocked(t, db, 1)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-settled:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(longWait):
		t.Fatal("waited in vain for the settlement")
	}
	if n := count(t, db.Pool, `SELECT count(*) FROM orders WHERE status <> 'COMPLETED'`); n != 0 {
		t.Errorf("%d orders are not COMPLETED, want all", n)
	}
	if n := count(t, db.Pool, `SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("got %d commands left, want none", n)
	}
}

// Settling finds its rows by their keys, however large the tables are or were.
func TestSettlingReadsWhatItSettles(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 20,000 orders")
	const batch = 20
	db := pgtest.Orders(t)
	shop(t, db)
	execute(t, db, `DELETE FROM outbox`) // what is claimed below is the batch
	for name, statistics := range map[string]string{
		"of another time": `SELECT 1`, "none": forgotten, "right": `ANALYZE orders; ANALYZE outbox`,
	} {
		execute(t, db, statistics)
		findings := placeAndClaim(t, db, batch)
		s, plans := planned(t, db)
		for i := range findings {
			findings[i] = atOnce(findings[i].Event, findings[i].Retry.Message)
		}
		if done := apply(t, s, findings...); len(done.Changes) != batch {
			t.Fatalf("settled %d orders, want %d", len(done.Changes), batch)
		}
		wantBounded(t, 3*batch, plans(), "statistics %s", name) // looked up, found again and changed
	}
}
