package orderdb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// Every way that an order can go: each change of its status is told with its cause and who made it.
func TestEveryChangeOfStatusIsTold(t *testing.T) {
	t.Parallel()
	const relay = "relay:1"
	change := func(from, to order.Status, cause order.Event, who string, trace *string) orderdb.StatusChange {
		return orderdb.StatusChange{From: from, To: to, Cause: cause.String(), Who: who, TraceID: trace}
	}
	completed := change(order.Pending, order.Completed, order.PaymentCharged, "", nil)
	tests := []struct {
		name string
		goes func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string)
		want []orderdb.StatusChange
		rows int
	}{
		{"nowhere yet", func(*testing.T, *pgtest.Database, *orderdb.Store, string) {}, nil, 0},
		{"completed", func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string) {
			apply(t, s, decided(order.PaymentCharged, claimed(t, db, id)))
		}, []orderdb.StatusChange{completed}, 0},
		{
			"declined", func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string) {
				apply(t, s, decided(order.PaymentDeclined, claimed(t, db, id)))
			}, []orderdb.StatusChange{
				change(order.Pending, order.Cancelled, order.PaymentDeclined, relay, text(traceID)),
			}, 1,
		},
		{
			"given up", func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string) {
				apply(t, s, found(order.ChargeSpent, claimed(t, db, id)))
				apply(t, s, decided(order.PaymentVoided, claimed(t, db, id)))
			}, []orderdb.StatusChange{
				change(order.Pending, order.Cancelling, order.ChargeSpent, relay, text(traceID)),
				change(order.Cancelling, order.Cancelled, order.PaymentVoided, relay, text(traceID)),
			}, 2,
		},
		{
			"cancelled after it was paid", func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string) {
				apply(t, s, decided(order.PaymentCharged, claimed(t, db, id)))
				cancel(t, s, id, traceparent)
				apply(t, s, decided(order.PaymentRefunded, claimed(t, db, id)))
			}, []orderdb.StatusChange{
				completed, change(order.Completed, order.Cancelling, order.CustomerCancels, "orderd", text(traceID)),
				change(order.Cancelling, order.Cancelled, order.PaymentRefunded, relay, text(traceID)),
			}, 2,
		},
		{
			"cancelled, in no trace", func(t *testing.T, _ *pgtest.Database, s *orderdb.Store, id string) {
				cancel(t, s, id, "")
				cancel(t, s, id, "") // changes nothing more, and tells nothing more
			}, []orderdb.StatusChange{
				change(order.Pending, order.Cancelling, order.CustomerCancels, "orderd", nil),
			}, 1,
		},
		{
			"settled by hand", func(t *testing.T, db *pgtest.Database, s *orderdb.Store, id string) {
				said(t, db, id, "KEY_REUSED", true)
				if _, _, err := s.SettleByHand(t.Context(), decision(id)); err != nil {
					t.Fatal(err)
				}
			}, []orderdb.StatusChange{
				change(order.Pending, order.Cancelled, order.OperatorSettles, decision("").Operator, nil),
			}, 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			n := newOrder()
			n.Traceparent = traceparent
			o := place(t, s, n)
			test.goes(t, db, s, o.ID)
			got := explained(t, s, o.ID).Changes
			exceptTimes := cmpopts.IgnoreFields(orderdb.StatusChange{}, "At")
			if diff := cmp.Diff(test.want, got, exceptTimes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			before := o.CreatedAt
			for _, c := range got {
				if !c.At.After(before) {
					t.Errorf("got %s at %s, want it after %s", c.To, c.At, before)
				}
				before = c.At
			}
			if o = get(t, s, o.ID); len(got) > 0 && !o.UpdatedAt.Equal(before) {
				t.Errorf("got the last change at %s, want it when the order was updated: %s", before, o.UpdatedAt)
			}
			if n := count(t, db.Pool, `SELECT count(*) FROM changes`); n != test.rows {
				t.Errorf("got %d rows, want %d", n, test.rows)
			}
		})
	}
}

func cancel(t testing.TB, s *orderdb.Store, id, traceparent string) {
	t.Helper()
	if _, _, err := s.Cancel(t.Context(), id, traceparent); err != nil {
		t.Fatal(err)
	}
}

// An order that goes well sends no statement about its change, and one that does not sends one.
func TestAnOrderThatGoesWellTellsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s, seen := traced(t, db)
	statements := func(event order.Event) int64 {
		o := place(t, s, newOrder())
		m := claimed(t, db, o.ID)
		before := seen.count.Load()
		apply(t, s, decided(event, m))
		return seen.count.Load() - before
	}
	if got, most := statements(order.PaymentCharged), statements(order.PaymentDeclined)-1; got != 1 || got > most {
		t.Errorf("got %d statements, want one, and less than for an order that is declined: %d at most", got, most)
	}
}

// Programs of before the table write no rows. What the order's own row says is told: how it ended, and that it was
// COMPLETED. What was between is not made up.
func TestChangesThatNobodyRecordedAreNotMadeUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		steps []order.Status
		want  []order.Status
	}{
		{"completed", []order.Status{order.Completed}, []order.Status{order.Completed}},
		{"cancelling", []order.Status{order.Cancelling}, []order.Status{order.Cancelling}},
		{"cancelled", []order.Status{order.Cancelling, order.Cancelled}, []order.Status{order.Cancelled}},
		{
			"cancelled, once paid",
			[]order.Status{order.Completed, order.Cancelling, order.Cancelled},
			[]order.Status{order.Completed, order.Cancelled},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			o := place(t, s, newOrder())
			for _, status := range test.steps {
				reason := "NULL"
				if status != order.Completed {
					reason = "'CUSTOMER'"
				}
				damage(t, db, `
					UPDATE orders
					SET status = '`+string(status)+`', updated_at = clock_timestamp(), cancel_reason = `+reason+`
					WHERE id = $1`, o.ID)
			}
			var got []order.Status
			for _, c := range explained(t, s, o.ID).Changes {
				got = append(got, c.To)
				if (c.Cause != "") != (c.To == order.Completed) || c.Who != "" {
					t.Errorf("%s: got the cause %q, by %q; want none but for COMPLETED", c.To, c.Cause, c.Who)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// Relays of two releases share the orders: one gives an order up and records it, and the older one ends it without a
// row. Both changes are told.
func TestAChangeOfAnOlderProgramIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	apply(t, s, found(order.ChargeLate, claimed(t, db, o.ID)))
	settle(t, db.Pool, o.ID, order.Cancelling, order.Cancelled)
	got := explained(t, s, o.ID).Changes
	if len(got) != 2 || got[0].Cause != "deadline passed" || got[1].To != order.Cancelled || got[1].Cause != "" {
		t.Errorf("got %+v, want the recorded change, and the end without a cause", got)
	}
}
