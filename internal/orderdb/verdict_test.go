package orderdb_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

// echoed is what a payment service says that does what a charge's payload asks for, whatever that is.
func echoed(t *testing.T, event order.Event, m outbox.Message) orderdb.Finding {
	t.Helper()
	c, err := command.Decode(order.Command(m.Kind), m.Key, m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	f := decided(event, m)
	f.Told = orderdb.Told{
		CustomerID: c.GetCharge().GetCustomerId(), AmountMinor: c.GetCharge().GetAmount().GetAmountMinor(),
		Currency: c.GetCharge().GetAmount().GetCurrencyCode(),
	}
	return f
}

// Somebody who has the relay's rights changes what an order's charge asks for, to 1 of mallory. paymentd charges that,
// and its reply goes with the command. The order of 60,000 does not become COMPLETED by it: a person is told, who may
// settle it. What is changed while the command is on its way changes nothing.
func TestAChangedPayloadCompletesNoOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	relay := alone(t, db, "relay_tampers", `
		GRANT SELECT ON orders TO relay_tampers;
		GRANT UPDATE (status, cancel_reason, updated_at) ON orders TO relay_tampers;
		GRANT SELECT, INSERT, DELETE ON outbox TO relay_tampers;
		GRANT UPDATE (payload, attempts, claims, answers, ready_at, leased_until, lease_token, parked_at, last_code,
				sends, refused)
			ON outbox TO relay_tampers;
		GRANT SELECT, INSERT ON audit, attempts, changes TO relay_tampers;`)
	s := orderdb.New(relay, command.Encode)
	n := newOrder()
	n.AmountMinor = 60_000
	tamper := func(o order.Order) {
		t.Helper()
		o.AmountMinor, o.CustomerID = 1, "mallory"
		_, err := relay.Exec(t.Context(), `UPDATE outbox SET payload = $2 WHERE key = $1`, o.ID,
			payloadOf(t, order.Charge, o))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, sent := range []bool{false, true} {
		n.ID = newOrder().ID
		o := place(t, orderdb.New(db.Pool, command.Encode), n)
		if !sent {
			tamper(o)
		}
		m := claimed(t, db, o.ID)
		if sent {
			tamper(o)
		}
		done := apply(t, s, echoed(t, order.PaymentCharged, m))
		got := get(t, s, o.ID)
		if sent {
			if got.Status != order.Completed || done.Changes[0].Alarm {
				t.Errorf("changed once it was sent: got %s and %+v, want COMPLETED and no alarm", got.Status, done)
			}
			continue
		}
		if got.Status != order.Pending || len(done.Changes) != 1 || !done.Changes[0].Alarm {
			t.Errorf("changed before it was sent: got %s and %+v, want PENDING and an alarm", got.Status, done)
		}
		left := inOutbox(t, db, o)
		if len(left) != 1 || !left[0].Parked || left[0].LastCode != order.EchoMismatch {
			t.Errorf("got commands %+v, want the CHARGE parked for %s", left, order.EchoMismatch)
		}
		if e := explained(t, s, o.ID); len(e.Attempts) != 1 || e.Attempts[0].Means != "CONFLICT" {
			t.Errorf("got attempts %+v, want one, a conflict", e.Attempts)
		}
		d := decision(o.ID)
		d.Codes = order.ConflictCodes
		if _, changed, err := s.SettleByHand(t.Context(), d); err != nil || !changed {
			t.Errorf("settle by hand: got changed %v, error %v", changed, err)
		}
	}
}

// Whatever a reply tells that is not the order's: it settles nothing, for a charge or for a void.
func TestAReplyAboutAnotherPaymentSettlesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	others := map[string]orderdb.Told{
		"nobody's":         {},
		"another customer": {CustomerID: "mallory", AmountMinor: 900, Currency: "JPY"},
		"another amount":   {CustomerID: "alice", AmountMinor: 901, Currency: "JPY"},
		"another currency": {CustomerID: "alice", AmountMinor: 900, Currency: "USD"},
	}
	for name, told := range others {
		for _, event := range order.Events {
			if !event.Fact() {
				continue
			}
			for _, state := range []order.State{
				{Status: order.Pending}, {Status: order.Cancelling}, {Status: order.Cancelling, AfterCompleted: true},
			} {
				kind := state.Status.Driver()
				o, m := standingIn(t, db, newOrder(), state, kind)
				f := decided(event, m)
				f.Told = told
				done := apply(t, s, f)
				at := fmt.Sprintf("%s: %s, order %s", name, event, state)
				if diff := cmp.Diff(o, get(t, s, o.ID)); diff != "" {
					t.Errorf("%s: order (-before +after):\n%s", at, diff)
				}
				if len(done.Changes) != 1 || !done.Changes[0].Alarm || done.Changes[0].Code != order.EchoMismatch {
					t.Errorf("%s: got %+v, want an alarm for %s", at, done.Changes, order.EchoMismatch)
				}
				want := []stored{{
					Kind: string(kind), Answers: 1, Attempts: 1, LastCode: order.EchoMismatch,
					Parked: kind == order.Charge,
				}}
				if kind == order.Charge {
					want[0].Attempts = 0 // parked
				}
				if diff := cmp.Diff(want, inOutbox(t, db, o)); diff != "" {
					t.Errorf("%s: commands (-want +got):\n%s", at, diff)
				}
				if kind == order.Void {
					waitsFor(t, db, o.ID, f.Longest)
				}
			}
		}
	}
}

// waitsFor checks that an order's VOID is due after a wait.
func waitsFor(t *testing.T, db *pgtest.Database, id string, want time.Duration) {
	t.Helper()
	n := count(t, db.Pool, `
		SELECT count(*)
		FROM outbox
		WHERE key = $1 AND kind = 'VOID' AND parked_at IS NULL
			AND ready_at - clock_timestamp() BETWEEN $2::interval - interval '1 minute' AND $2::interval`, id, want)
	if n != 1 {
		t.Errorf("the VOID of order %s does not wait for %s", id, want)
	}
}

// A payment is forgotten: its database was restored to an older state. The order that it was for is cancelled, and its
// VOID is told that no money is held. That money was taken once is not forgotten: the order stays CANCELLING, a person
// is told at once and each time that the failures have doubled, and the VOID goes on at the longest wait, for ever. The
// right paymentd ends it with REFUNDED, or an operator does.
func TestAnOrderThatWasCompletedIsCancelledByARefundAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	forgotten := []order.Event{order.PaymentVoided, order.PaymentDeclined, order.PaymentExpired}
	for i, event := range forgotten {
		o := placed(t, db, order.Completed)
		if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
			t.Fatal(err)
		}
		m := claimed(t, db, o.ID)
		var alarms []int
		for failure := 1; failure <= 9; failure++ {
			done := apply(t, s, decided(event, m))
			if got := get(t, s, o.ID).Status; got != order.Cancelling {
				t.Fatalf("%s: got %s, want CANCELLING", event, got)
			}
			if len(done.Changes) == 1 && done.Changes[0].Alarm && done.Changes[0].Code == order.NotRefunded {
				alarms = append(alarms, failure)
			}
			waitsFor(t, db, o.ID, 2*time.Hour)
			m = reclaimed(t, db, o.ID)
		}
		if want := []int{1, 2, 4, 8}; !slices.Equal(alarms, want) {
			t.Errorf("%s: got alarms at the failures %v, want %v", event, alarms, want)
		}
		if i > 0 {
			apply(t, s, decided(order.PaymentRefunded, m))
		} else {
			d := decision(o.ID)
			d.Codes = order.ConflictCodes
			if _, changed, err := s.SettleByHand(t.Context(), d); err != nil || !changed {
				t.Errorf("settle by hand: got changed %v, error %v", changed, err)
			}
		}
		if got := get(t, s, o.ID); got.Status != order.Cancelled || got.CompletedAt.IsZero() {
			t.Errorf("%s: got %s, COMPLETED at %s, want CANCELLED, and its past remembered",
				event, got.Status, got.CompletedAt)
		}
	}
}

// Other failures before do not put off the first alarm.
func TestTheFirstAlarmOfACauseIsNotPutOff(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Completed)
	if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		apply(t, s, found(order.VoidUndecided, reclaimed(t, db, o.ID)))
	}
	done := apply(t, s, decided(order.PaymentVoided, reclaimed(t, db, o.ID)))
	if len(done.Changes) != 1 || !done.Changes[0].Alarm {
		t.Errorf("got %+v, want an alarm", done.Changes)
	}
}

// An order that was CANCELLING when the mark was not kept yet may have been COMPLETED or not: the rule of then holds.
func TestAnOrderWhosePastIsNotKnownIsCancelledByAVoid(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	execute(t, db, `ALTER TABLE orders DISABLE TRIGGER orders_remember_completed`)
	o := placed(t, db, order.Completed)
	if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	apply(t, s, decided(order.PaymentVoided, claimed(t, db, o.ID)))
	if got := get(t, s, o.ID).Status; got != order.Cancelled {
		t.Errorf("got %s, want CANCELLED", got)
	}
}

// What paymentd has decided settles an order however late it is heard: the charge was claimed by somebody else since,
// waits for its next attempt, was parked, or has left the outbox.
func TestEvidenceHasNoAge(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	early := found(order.PaymentExpired, outbox.Message{})
	since := map[string]func(order.Order, outbox.Message){
		"claimed again": func(o order.Order, _ outbox.Message) { reclaimed(t, db, o.ID) },
		"rescheduled":   func(_ order.Order, m outbox.Message) { apply(t, s, found(order.ChargeUndecided, m)) },
		"in conflict":   func(_ order.Order, m outbox.Message) { apply(t, s, found(order.ChargeConflict, m)) },
		"expired early": func(_ order.Order, m outbox.Message) {
			early.Retry.Message = m
			apply(t, s, early)
		},
		"gone": func(o order.Order, _ outbox.Message) { execute(t, db, `DELETE FROM outbox WHERE key = '`+o.ID+`'`) },
	}
	ends := map[order.Event]order.Status{
		order.PaymentCharged: order.Completed, order.PaymentDeclined: order.Cancelled,
		order.PaymentVoided: order.Cancelled, order.PaymentRefunded: order.Cancelled,
	}
	for name, happens := range since {
		for event, want := range ends {
			o := place(t, s, newOrder())
			m := claimed(t, db, o.ID)
			happens(o, m)
			apply(t, s, decided(event, m))
			if got := get(t, s, o.ID).Status; got != want {
				t.Errorf("%s, then %s: got %s, want %s", name, event, got, want)
			}
			if left := commands(t, db.Pool, o.ID); len(left) > 0 {
				t.Errorf("%s, then %s: got commands %v, want none", name, event, left)
			}
		}
	}
}

// A charge was made, and its order is CANCELLED when that is heard. If somebody went past the saga, the money is held
// for a cancelled order: a person is told, also when all that is heard is that an earlier try may have been made. If
// the saga cancelled it, that is old news from before the refund.
func TestMoneyThatIsHeldForAnOrderCancelledByHandIsTold(t *testing.T) {
	t.Parallel()
	byHand := `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '%s'`
	type (
		database = pgtest.Database
		store    = orderdb.Store
		message  = outbox.Message
	)
	tests := []struct {
		name  string
		how   func(t *testing.T, db *database, s *store, o order.Order, charge message)
		alarm bool
		hint  bool // an alarm for less than CHARGED
	}{
		{"in psql", func(t *testing.T, db *database, _ *store, o order.Order, _ message) {
			execute(t, db, fmt.Sprintf(byHand, o.ID))
		}, true, true},
		{"by an operator", func(t *testing.T, _ *database, s *store, o order.Order, charge message) {
			parked := found(order.ChargeConflict, charge)
			parked.Retry.Code = "KEY_REUSED"
			apply(t, s, parked)
			if _, changed, err := s.SettleByHand(t.Context(), decision(o.ID)); err != nil || !changed {
				t.Fatalf("settle by hand: got changed %v, error %v", changed, err)
			}
		}, true, false},
		{
			"in psql, and its VOID goes on",
			func(t *testing.T, db *database, s *store, o order.Order, _ message) {
				if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
					t.Fatal(err)
				}
				execute(t, db, fmt.Sprintf(byHand, o.ID))
			}, false, false,
		},
		{"by a refund", func(t *testing.T, db *database, s *store, o order.Order, charge message) {
			apply(t, s, decided(order.PaymentCharged, charge))
			if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
				t.Fatal(err)
			}
			apply(t, s, decided(order.PaymentRefunded, claimed(t, db, o.ID)))
		}, false, false},
	}
	for _, tt := range tests {
		for _, event := range []order.Event{order.PaymentCharged, order.ChargeRefused} {
			t.Run(tt.name+", "+event.String(), func(t *testing.T) {
				t.Parallel()
				db := pgtest.Orders(t)
				s := orderdb.New(db.Pool, command.Encode)
				o := place(t, s, newOrder())
				charge := claimed(t, db, o.ID)
				tt.how(t, db, s, o, charge)
				if got := get(t, s, o.ID).Status; got != order.Cancelled {
					t.Fatalf("got %s, want CANCELLED", got)
				}
				want := tt.hint || tt.alarm && event == order.PaymentCharged
				f := decided(event, charge)
				if event == order.ChargeRefused { // it is not sent any more, and was at another claim
					f.Delivery.RPC, f.Retry.Message.Claims = "", 2
				}
				done := apply(t, s, f)
				if alarm := len(done.Changes) == 1 && done.Changes[0].Alarm; alarm != want {
					t.Errorf("got %+v, want an alarm: %v", done.Changes, want)
				}
				if got := get(t, s, o.ID).Status; got != order.Cancelled {
					t.Errorf("got %s, want CANCELLED", got)
				}
			})
		}
	}
}
