package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hosho/internal/reconcile"
)

// cancelPaid and refundPaid are the two halves of what becomes of an order that was paid, an hour later.
var (
	cancelPaid = `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '` + paidOnce + `';`
	refundPaid = `UPDATE payments SET status = 'REFUNDED' WHERE id = '` + paidOnce + `';` +
		plantEntry(paidOnce, "REFUND")
)

// Damage of each kind that daemons can do, or that befalls what they work on, is planted after everything was found to
// be well. The next pass reads little, and finds it; when it is mended, the pass after that finds that.
func TestAnIncrementalPassFindsWhatWentWrongSince(t *testing.T) {
	t.Parallel()
	fresh := keyOf(time.Now(), 9)
	for _, tt := range []struct {
		name             string
		orders, payments string // what is planted
		want             string
		mendOrders, mend string // what mends it
	}{
		{
			name: "a new order is completed without a payment", want: "completed-not-held " + fresh,
			orders: plantOrder(fresh, "COMPLETED"),
			mend:   plantPayment(fresh, "CHARGED") + `;` + plantEntry(fresh, "CHARGE"),
		},
		{
			name: "an order that was under way is completed, and declined", want: "completed-not-held " + stillPending,
			orders: `UPDATE orders SET status = 'COMPLETED' WHERE id = '` + stillPending + `';
				DELETE FROM outbox WHERE kind = 'CHARGE'`,
			payments: `UPDATE payments SET status = 'VOIDED' WHERE id = '` + stillPending + `';
				DELETE FROM ledger WHERE payment_id = '` + stillPending + `'`,
			mend: `UPDATE payments SET status = 'CHARGED' WHERE id = '` + stillPending + `';` +
				plantEntry(stillPending, "CHARGE"),
		},
		{
			name: "an order of long ago is cancelled, and its money is held", want: "cancelled-but-held " + paidOnce,
			orders: cancelPaid + plantChange(paidOnce), mend: refundPaid,
		},
		{
			name: "a payment of long ago is refunded beside the saga", want: "completed-not-held " + paidOnce,
			payments: refundPaid, mendOrders: cancelPaid + plantChange(paidOnce),
		},
		{
			name: "the payment of an order under way is paid for long", want: "paid-not-completed " + stillPending,
			payments: `UPDATE payments SET updated_at = now() - interval '1 hour' WHERE id = '` + stillPending + `'`,
			mendOrders: `UPDATE orders SET status = 'COMPLETED' WHERE id = '` + stillPending + `';
				DELETE FROM outbox WHERE kind = 'CHARGE'`,
		},
		{
			name: "a new payment has no order", want: "payment-without-order " + fresh,
			payments:   plantPayment(fresh, "CHARGED") + `;` + plantEntry(fresh, "CHARGE"),
			mendOrders: plantOrder(fresh, "COMPLETED"),
		},
		{
			name: "a payment under a made-up key has no order", want: "payment-without-order " + unknown,
			payments:   plantPayment(unknown, "CHARGED") + `;` + plantEntry(unknown, "CHARGE"),
			mendOrders: plantOrder(unknown, "COMPLETED"),
		},
		{
			name: "a void is stuck", want: "stuck " + stillToRefund,
			orders:     `UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = '` + stillToRefund + `'`,
			mendOrders: `UPDATE orders SET updated_at = now() WHERE id = '` + stillToRefund + `'`,
		},
		{
			name: "a charge is parked", want: "stuck " + stillPending,
			orders:     `UPDATE outbox SET parked_at = now(), last_code = 'KEY_REUSED' WHERE kind = 'CHARGE'`,
			mendOrders: `UPDATE outbox SET parked_at = NULL, last_code = NULL WHERE kind = 'CHARGE'`,
		},
		{
			name: "the command of an order under way is lost", want: "stranded " + stillPending,
			orders:     `DELETE FROM outbox WHERE kind = 'CHARGE'`,
			mendOrders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + stillPending + `', 'CHARGE', '')`,
		},
		{
			name: "a command is left of an order of long ago", want: "stuck " + paidOnce,
			orders:     `INSERT INTO outbox (key, kind, payload) VALUES ('` + paidOnce + `', 'VOID', '')`,
			mendOrders: `DELETE FROM outbox WHERE key = '` + paidOnce + `'`,
		},
		{
			name: "a command without its order", want: "stuck " + unknown,
			orders:     `INSERT INTO outbox (key, kind, payload) VALUES ('` + unknown + `', 'CHARGE', '')`,
			mendOrders: `DELETE FROM outbox WHERE key = '` + unknown + `'`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := monitor(t, reconcile.MonitorConfig{Window: 2})
			m.pass(t, reconcile.Full)
			if summary := m.pass(t, reconcile.Incremental); summary.Orders != 2 {
				t.Errorf("nothing happened: got %d orders read, want the two that are under way", summary.Orders)
			}
			m.plant(t, tt.orders, tt.payments)
			for range 2 { // and it is told once
				m.pass(t, reconcile.Incremental)
				class, _, _ := strings.Cut(tt.want, " ")
				if got := m.known(t); !slices.Equal(got, []string{class + "=1"}) {
					t.Errorf("got the findings %q, want one of %s", got, class)
				}
			}
			if got, text := m.told(t); !slices.Equal(got, []string{"finding " + tt.want}) ||
				!strings.Contains(text, `"do":"`) || strings.Contains(text, "ada") {
				t.Errorf("got told\n%s\nwant %s once, what to do, and no customer", text, tt.want)
			}
			m.plant(t, tt.mendOrders, tt.mend)
			m.pass(t, reconcile.Incremental)
			if got := m.known(t); len(got) > 0 {
				t.Errorf("mended: got the findings %q, want none", got)
			}
			if got, text := m.told(t); !slices.Equal(got, []string{"finding is gone " + tt.want}) {
				t.Errorf("mended: got told\n%s\nwant that it is gone", text)
			}
		})
	}
}

func (s system) plant(t *testing.T, orders, payments string) {
	t.Helper()
	if orders != "" {
		runAll(t, s.orders.Pool, orders)
	}
	if payments != "" {
		runAll(t, s.payments.Pool, payments)
	}
}

// A payment vanishes that was there when its order was compared: a little later that is seen, too.
func TestAPaymentThatVanishesSoonIsMissed(t *testing.T) {
	t.Parallel()
	m, fresh := monitor(t, reconcile.MonitorConfig{}), keyOf(time.Now(), 9)
	m.plant(t, plantOrder(fresh, "COMPLETED"), plantPayment(fresh, "CHARGED")+`;`+plantEntry(fresh, "CHARGE"))
	m.pass(t, reconcile.Full)
	run(t, m.payments.Pool, `DELETE FROM ledger WHERE payment_id = $1`, fresh)
	run(t, m.payments.Pool, `DELETE FROM payments WHERE id = $1`, fresh)
	m.pass(t, reconcile.Incremental)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) {
		t.Errorf("got the findings %q, want the order without its payment", got)
	}
}

// What daemons leave no trace of is for a full pass, which comes when it is due, and when a table is not what it was,
// as after a restore.
func TestAFullPassSeesTheRest(t *testing.T) {
	t.Parallel()
	forged := `UPDATE orders SET amount_minor = 601 WHERE id = '` + paidOnce + `'`
	m := monitor(t, reconcile.MonitorConfig{})
	m.pass(t, reconcile.Full)
	run(t, m.orders.Pool, forged)
	m.pass(t, reconcile.Incremental)
	if got := m.known(t); len(got) > 0 {
		t.Errorf("got the findings %q, want none before a full pass", got)
	}
	run(t, m.payments.Pool, `VACUUM FULL payments`) // writes it anew
	m.pass(t, reconcile.Full)
	if got := m.known(t); !slices.Equal(got, []string{"completed-not-held=1"}) {
		t.Errorf("got the findings %q, want the order of another amount", got)
	}
	m = monitor(t, reconcile.MonitorConfig{FullEvery: time.Nanosecond})
	for range 2 {
		m.pass(t, reconcile.Full)
	}
}
