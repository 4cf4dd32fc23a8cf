package reconcile_test

import (
	"testing"

	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

// Memory is bounded by the window, also when nothing fits: every order lacks its payment, and every payment its order.
// Every key is seen once.
func TestRowsInMemoryAreBoundedByTheWindow(t *testing.T) {
	t.Parallel()
	const (
		many   = 5000
		window = 64
		most   = 5 * window // two windows, and the suspects of one: their orders, their payments, their orders again
	)
	for _, tt := range []struct {
		name                 string
		orders, payments     string // which of the keys there are
		wantOrders, wantPaid int64  // how many
		class                reconcile.Class
		findings             int64
	}{
		{"all fit", "i > 0", "i > 0", many, many, "", 0},
		{"orders alone", "i > 0", "i < 0", many, 0, reconcile.CompletedNotHeld, many},
		{"payments alone", "i < 0", "i > 0", 0, many, reconcile.PaymentWithoutOrder, many},
		{
			"payments between few orders", "i % 1000 = 0", "i > 0", many / 1000, many, reconcile.PaymentWithoutOrder,
			many - many/1000,
		},
		{
			"orders between few payments", "i > 0", "i % 1000 = 0", many, many / 1000, reconcile.CompletedNotHeld,
			many - many/1000,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orders, payments := pgtest.Orders(t).Pool, pgtest.Payments(t).Pool
			run(t, orders, `ALTER TABLE orders DISABLE TRIGGER USER`)
			run(t, orders, `
				INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, deadline_at)
				SELECT lpad(to_hex(i), 32, '0')::uuid, 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]',
					600, 'JPY', 'COMPLETED', now()
				FROM generate_series(1, $1::int) AS i WHERE `+tt.orders, many)
			run(t, payments, `
				INSERT INTO payments (id, customer_id, amount_minor, currency, status)
				SELECT lpad(to_hex(i), 32, '0')::uuid, 'ada', 600, 'JPY', 'CHARGED'
				FROM generate_series(1, $1::int) AS i WHERE `+tt.payments, many)
			run(t, payments, `
				INSERT INTO ledger (payment_id, kind, amount_minor, currency)
				SELECT id, 'CHARGE', amount_minor, currency FROM payments`)
			progress := 0
			_, found, summary := look(t, orders, payments,
				reconcile.Options{Window: window, Progress: func(*reconcile.Summary) { progress++ }})
			if summary.Orders != tt.wantOrders || summary.Payments != tt.wantPaid {
				t.Errorf("got %d orders and %d payments, want %d and %d", summary.Orders, summary.Payments,
					tt.wantOrders, tt.wantPaid)
			}
			if summary.MostRowsHeld == 0 || summary.MostRowsHeld > most {
				t.Errorf("got %d rows held at once, want %d at most", summary.MostRowsHeld, most)
			}
			if int64(len(found)) != tt.findings || tt.findings > 0 && summary.Findings[tt.class] != tt.findings {
				t.Errorf("got %v, want %d %s", summary.Findings, tt.findings, tt.class)
			}
			if want := int(tt.wantOrders/window) + 1; progress != want {
				t.Errorf("got progress %d times, want %d", progress, want)
			}
		})
	}
}
