package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"hosho/internal/reconcile"
)

// A transaction that has begun before a pass and is committed long after it is seen, however little is looked back: by
// its number it is known to be under way.
func TestWhatIsCommittedLateIsSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, orders, payments, want string // what is written late
	}{
		{name: "an order", orders: "order", want: "completed-not-held=1"},
		{
			name: "an order of long ago that is given up", want: "cancelled-but-held=1",
			orders: cancelPaid + plantChange(paidOnce),
		},
		{name: "a payment", payments: "payment", want: "payment-without-order=1"},
		{
			name: "a refund", want: "completed-not-held=1",
			payments: refundPaid,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := monitor(t, reconcile.MonitorConfig{Slack: time.Nanosecond})
			m.pass(t, reconcile.Full)
			pool, statements := m.orders.Pool, tt.orders
			if tt.payments != "" {
				pool, statements = m.payments.Pool, tt.payments
			}
			switch statements {
			case "order":
				statements = plantOrder(keyOf(time.Now(), 9), "COMPLETED")
			case "payment":
				key := keyOf(time.Now(), 9)
				statements = plantPayment(key, "CHARGED") + `;` + plantEntry(key, "CHARGE")
			}
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), statements); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				m.pass(t, reconcile.Incremental)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.pass(t, reconcile.Incremental)
			if got := m.known(t); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("got the findings %q, want %s", got, tt.want)
			}
		})
	}
}

// An id is as old as the clock says of whoever makes it, and may be older than its order by an hour.
func TestAnOrderOfAClockThatIsBehindIsSeen(t *testing.T) {
	t.Parallel()
	m := monitor(t, reconcile.MonitorConfig{})
	m.pass(t, reconcile.Full)
	run(t, m.orders.Pool, plantOrder(keyOf(hourAgo, 9), "COMPLETED"))
	m.pass(t, reconcile.Incremental)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) {
		t.Errorf("got the findings %q, want the order without its payment", got)
	}
}

// While a database cannot be read, passes fail and are counted, nothing that is known is forgotten, and what the pass
// after that has to look at is what this one had to.
func TestADatabaseThatIsAwayComesBack(t *testing.T) {
	t.Parallel()
	m := monitor(t, reconcile.MonitorConfig{Slack: time.Nanosecond})
	if m.Ready() == nil {
		t.Error("before the first pass: got ready")
	}
	m.pass(t, reconcile.Full)
	fresh := keyOf(time.Now(), 9)
	run(t, m.orders.Pool, plantOrder(fresh, "COMPLETED"))
	for _, away := range []string{"ledger", "payments"} {
		run(t, m.payments.Pool, `ALTER TABLE `+away+` RENAME TO elsewhere`)
		if _, _, err := m.Pass(t.Context()); err == nil || m.Ready() == nil {
			t.Errorf("%s is away: got error %v, ready %v; want neither", away, err, m.Ready())
		}
		run(t, m.payments.Pool, `ALTER TABLE elsewhere RENAME TO `+away)
	}
	m.pass(t, reconcile.Incremental)
	values := m.values(t)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) ||
		values["hosho_reconcile_failures_total"] != 2 || m.Ready() != nil {
		t.Errorf("got the findings %q, %g failures, ready %v; want the order, 2, and no error", got,
			values["hosho_reconcile_failures_total"], m.Ready())
	}
	for _, series := range []string{
		"hosho_reconcile_last_success_timestamp_seconds/full",
		"hosho_reconcile_last_success_timestamp_seconds/incremental",
		"hosho_reconcile_seconds/full", "hosho_reconcile_seconds/incremental",
		"hosho_reconcile_compared_total/orders", "hosho_reconcile_compared_total/payments",
	} {
		if values[series] == 0 {
			t.Errorf("got 0 of %s, want more", series)
		}
	}
}

// What is more than may be known one by one is not forgotten: orders under way are read from the first of them on, and
// with more findings everything is compared, and counted.
func TestMoreThanMayBeKnownIsSeenAllTheSame(t *testing.T) {
	t.Parallel()
	m := monitor(t, reconcile.MonitorConfig{Most: 1})
	m.pass(t, reconcile.Full)
	run(t, m.orders.Pool, `
		UPDATE orders SET status = 'COMPLETED', cancel_reason = NULL WHERE status IN ('PENDING', 'CANCELLING')`)
	run(t, m.orders.Pool, `DELETE FROM outbox`)
	m.pass(t, reconcile.Incremental)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) {
		t.Errorf("got the findings %q, want the order that was CANCELLING and has no payment", got)
	}
	run(t, m.payments.Pool, plantPayment(keyOf(time.Now(), 8), "CHARGED"))
	run(t, m.payments.Pool, plantPayment(keyOf(time.Now(), 9), "CHARGED"))
	m.pass(t, reconcile.Incremental)
	want := []string{"completed-not-held=1", "payment-without-order=2"}
	for range 2 {
		m.pass(t, reconcile.Full)
		if got := m.known(t); !slices.Equal(got, want) {
			t.Errorf("got the findings %q, want %q", got, want)
		}
	}
	run(t, m.payments.Pool, `DELETE FROM payments WHERE id >= $1`, keyOf(time.Now().Add(-time.Minute), 0))
	m.pass(t, reconcile.Full)
	m.pass(t, reconcile.Incremental)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) {
		t.Errorf("fewer again: got the findings %q, want one", got)
	}
}
