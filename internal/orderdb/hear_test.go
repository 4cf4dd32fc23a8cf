package orderdb_test

import (
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
	"hosho/internal/pgtest"
)

// tells is an event that tells what is stored of a newOrder.
func tells(id string, event order.Event) orderdb.Heard {
	h := orderdb.Heard{OrderID: id, Finding: func(m outbox.Message) orderdb.Finding {
		f := found(event, m)
		f.Retry.Code, f.Retry.Spends, f.Retry.Answered = "OK", false, true
		f.Delivery.RPC, f.Delivery.Result = "OrderPlaced", outbox.Decided
		return f
	}}
	if event == order.PaymentCharged {
		h.Kind = order.Charge
	}
	return h
}

// refuses is an event that says that a send of the CHARGE was answered ambiguously. Three such are too many.
func refuses(id string, send int) orderdb.Heard {
	h := orderdb.Heard{OrderID: id, Kind: order.Charge, Refused: send}
	h.Finding = func(m outbox.Message) orderdb.Finding {
		event := order.ChargeUndecided
		if m.Attempts+1 >= 3 {
			event = order.ChargeSpent
		}
		f := found(event, m)
		f.Retry.Code, f.Delivery.RPC = "INTERNAL", "OrderPlaced"
		return f
	}
	return h
}

func hear(t testing.TB, s *orderdb.Store, heard ...orderdb.Heard) orderdb.Settlement {
	t.Helper()
	done, err := s.Hear(t.Context(), heard)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// handedOver has a relay hand the command of an order over, once more.
func handedOver(t testing.TB, db *pgtest.Database, s *orderdb.Store, id string) {
	t.Helper()
	handOver(t, s, reclaimed(t, db, id))
}

func handOver(t testing.TB, s *orderdb.Store, m outbox.Message) {
	t.Helper()
	err := s.HandOver(t.Context(), []outbox.Handed{{Message: m, Delay: time.Hour, Code: "HANDED_OVER"}})
	if err != nil {
		t.Fatal(err)
	}
}

// counts are what the outbox counts of an order's command.
type counts struct{ Claims, Answers, Attempts, Sends, Refused int }

func countsOf(t testing.TB, db *pgtest.Database, id string) counts {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(),
		`SELECT claims, answers, attempts, sends, refused FROM outbox WHERE key = $1`, id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[counts])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsStoredSettlesTheOrderThatIsToldOf(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for _, test := range []struct {
		event      order.Event
		from, want order.Status
	}{
		{order.PaymentCharged, order.Pending, order.Completed},
		{order.PaymentDeclined, order.Pending, order.Cancelled},
		{order.PaymentVoided, order.Pending, order.Cancelled},
		{order.PaymentVoided, order.Cancelling, order.Cancelled},
		{order.PaymentRefunded, order.Cancelling, order.Cancelled},
		{order.PaymentCharged, order.Cancelled, order.Cancelled},
		{order.PaymentRefunded, order.Cancelled, order.Cancelled},
		{order.PaymentCharged, order.Completed, order.Completed},
	} {
		for _, handed := range []bool{false, true} {
			o := placed(t, db, test.from)
			if handed && (test.from == order.Pending || test.from == order.Cancelling) {
				handedOver(t, db, s, o.ID)
			}
			for _, known := range []bool{test.from.Settled(), true} { // as often as it comes
				done := hear(t, s, tells(o.ID, test.event))
				if got := slices.Equal(done.Known, []int{0}); got != known {
					t.Errorf("%s while %s: got %+v known, want %v", test.event, test.from, done.Known, known)
				}
				got := get(t, s, o.ID).Status
				if got != test.want || len(commands(t, db.Pool, o.ID)) != 0 || len(done.Later) != 0 {
					t.Errorf("%s while %s: got %s, %v and %+v left, want %s and nothing", test.event, test.from, got,
						commands(t, db.Pool, o.ID), done, test.want)
				}
			}
		}
	}
}

// The charge of an order that is being cancelled is heard late. Its VOID stays.
func TestALateChargeLeavesTheVoid(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Cancelling)
	hear(t, s, tells(o.ID, order.PaymentCharged))
	if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestEventsOfOrdersThatNobodyCanHaveAreToldApart(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	locked, free := place(t, s, newOrder()), place(t, s, newOrder())
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, locked.ID); err != nil {
		t.Fatal(err)
	}
	done := hear(t, s, tells(locked.ID, order.PaymentCharged), tells(uuid.NewString(), order.PaymentCharged),
		tells(free.ID, order.PaymentCharged), tells(uuid.NewString(), order.PaymentDeclined),
		refuses(locked.ID, 1), refuses(uuid.NewString(), 1))
	if diff := cmp.Diff([]int{0, 4}, slices.Sorted(slices.Values(done.Later))); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 3, 5}, slices.Sorted(slices.Values(done.Unknown))); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	if got := get(t, s, free.ID).Status; got != order.Completed {
		t.Errorf("got %s, want the one that nobody keeps COMPLETED", got)
	}
}

// Another payment than the order's is told of: nobody makes the order COMPLETED by it, and a person looks.
func TestAnEventOfAnotherAmountParksTheOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	n := newOrder()
	n.Items[0].UnitPrice, n.AmountMinor = 451, 902
	o := place(t, s, n)
	handedOver(t, db, s, o.ID)
	done := hear(t, s, tells(o.ID, order.PaymentCharged))
	if len(done.Changes) != 1 || !done.Changes[0].Alarm || get(t, s, o.ID).Status != order.Pending {
		t.Errorf("got %+v and %s, want an alarm, and nothing changed", done.Changes, get(t, s, o.ID).Status)
	}
	if got := count(t, db.Pool, `
		SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL AND last_code = 'ECHO_MISMATCH'`); got != 1 {
		t.Errorf("got %d parked, want the CHARGE", got)
	}
}

// The payment of an order that was paid is told of as VOIDED, again and again: it was forgotten, or another service
// answers. The VOID goes on slowly, whoever holds it.
func TestWhatWasPaidAndIsNotRefundedIsAskedForOn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Completed)
	if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	handedOver(t, db, s, o.ID)
	again := reclaimed(t, db, o.ID)
	for range 3 {
		hear(t, s, tells(o.ID, order.PaymentVoided))
	}
	handOver(t, s, again)
	if got, want := countsOf(t, db, o.ID), (counts{Sends: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := get(t, s, o.ID).Status; got != order.Cancelling {
		t.Errorf("got %s, want %s", got, order.Cancelling)
	}
}

// A refusal counts for the latest send, and once.
func TestARefusalSpendsOneAttempt(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	handedOver(t, db, s, o.ID)
	handedOver(t, db, s, o.ID)
	for _, step := range []struct {
		name string
		send int
		want counts
		idle bool
	}{
		{"of the send before", 1, counts{Sends: 2}, true},
		{"of the latest", 2, counts{Sends: 2, Refused: 2, Attempts: 1}, false},
		{"of the latest, again", 2, counts{Sends: 2, Refused: 2, Attempts: 1}, true},
		{"of the send before, again", 1, counts{Sends: 2, Refused: 2, Attempts: 1}, true},
	} {
		done := hear(t, s, refuses(o.ID, step.send))
		if got := countsOf(t, db, o.ID); got != step.want || (len(done.Idle) == 1) != step.idle {
			t.Errorf("%s: got %+v, and %+v, want %+v", step.name, got, done, step.want)
		}
	}
	handedOver(t, db, s, o.ID)
	hear(t, s, refuses(o.ID, 3))
	handedOver(t, db, s, o.ID)
	hear(t, s, refuses(o.ID, 4))
	if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands after three of three (-want +got):\n%s", diff)
	}
	if got := len(explained(t, s, o.ID).Attempts); got != 3 {
		t.Errorf("got %d attempts recorded, want 3", got)
	}
	if done := hear(t, s, refuses(o.ID, 4)); len(done.Idle) != 1 {
		t.Errorf("got %+v, want a refusal of what is gone to change nothing", done)
	}
}

// paymentd is faster than the relay writes down that it has handed over. The refusal is the claim's answer, and what
// the relay writes then changes nothing.
func TestARefusalThatComesBeforeItsHandOverCountsOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	m := reclaimed(t, db, o.ID)
	want := counts{Claims: m.Claims, Answers: 1, Attempts: 1, Sends: 1, Refused: 1}
	for range 2 {
		hear(t, s, refuses(o.ID, 1))
		if got := countsOf(t, db, o.ID); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		handOver(t, s, m)
	}
	if got := countsOf(t, db, o.ID); got != want {
		t.Errorf("after the hand-over: got %+v, want %+v", got, want)
	}
	if again := reclaimed(t, db, o.ID); again.Sends != 1 || again.Attempts != 1 {
		t.Errorf("got %+v, want the next send to be the second", again)
	}
}

// A relay has taken a command up for its next send when the one before is refused. Each of them is an attempt, and the
// record has both.
func TestARefusalWhileTheNextSendIsUnderWayIsRecordedBesideThat(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	handedOver(t, db, s, o.ID)
	next := reclaimed(t, db, o.ID)
	hear(t, s, refuses(o.ID, 1))
	handOver(t, s, next)
	hear(t, s, refuses(o.ID, 2))
	if got, want := countsOf(t, db, o.ID), (counts{Sends: 2, Refused: 2, Attempts: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var recorded []int
	for _, a := range explained(t, s, o.ID).Attempts {
		recorded = append(recorded, a.Claim)
	}
	if want := []int{1, 2}; !slices.Equal(recorded, want) {
		t.Errorf("got attempts %v recorded, want %v", recorded, want)
	}
}

// A person has to look at a command. What is heard of its sends before changes nothing.
func TestARefusalOfWhatIsParkedCountsForNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	handedOver(t, db, s, o.ID)
	conflict := refuses(o.ID, 1)
	conflict.Finding = func(m outbox.Message) orderdb.Finding { return found(order.ChargeConflict, m) }
	if done := hear(t, s, conflict); len(done.Changes) != 1 || !done.Changes[0].Alarm {
		t.Errorf("got %+v, want an alarm", done)
	}
	if _, err := s.Retry(t.Context(), orderdb.Retry{
		OrderID: o.ID, Kind: order.Charge, Operator: "eve", Reason: "try",
	}); err != nil {
		t.Fatal(err)
	}
	if done := hear(t, s, conflict); len(done.Idle) != 1 {
		t.Errorf("got %+v, want the same refusal to count once, also when an operator has it tried again", done)
	}
	if got, want := countsOf(t, db, o.ID), (counts{Sends: 1, Refused: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Whoever copies these orders copies who they are. Nobody changes it.
func TestTheOrdersSayWhichDatabaseTheyAre(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	id, err := orderdb.New(db.Pool, command.Encode).Identity(t.Context())
	if err != nil || uuid.Validate(id) != nil {
		t.Errorf("got %q (%v), want a UUID", id, err)
	}
	_, err = db.Pool.Exec(t.Context(), `UPDATE database_identity SET id = gen_random_uuid()`)
	if err == nil {
		t.Error("the orders database has become another one")
	}
}
