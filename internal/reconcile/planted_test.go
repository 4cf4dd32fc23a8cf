package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/order"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

func TestASystemAtWorkIsClean(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	for _, window := range []int{1, 2, 3, 0} {
		got, _, summary := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{Window: window})
		if len(got) > 0 || !summary.Clean || summary.Orders != 5 || summary.Payments != 4 || summary.UnderWay != 2 {
			t.Errorf("window %d: got %q and %+v, want 5 orders, 2 of them under way, 4 payments and no finding", window,
				got, summary)
		}
	}
}

// Both databases are read through poolers in transaction mode, each statement in another session.
func TestASystemBehindPoolersIsRead(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	run(t, s.payments.Pool, `DELETE FROM ledger WHERE payment_id = $1`, paid)
	var pools []*pgxpool.Pool
	for _, db := range []*pgtest.Database{s.orders, s.payments} {
		url := pgtest.Pooler(t, db.URL, map[string]string{"default_pool_size": "2"})
		pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		pools = append(pools, pool)
	}
	got, _, _ := look(t, pools[0], pools[1], reconcile.Options{Window: 2})
	if len(got) != 1 || !strings.HasSuffix(got[0], paid) {
		t.Errorf("got %q, want the payment without its ledger alone", got)
	}
}

// The calls that findings come with, of an order or payment as those of healthy are.
const (
	asks         = `"customer_id": "ada", "amount": {"currency_code": "JPY", "amount_minor": 600}}' $PAYMENTD `
	chargesAgain = asks + `payment.v1.PaymentService/ChargePayment`
	voids        = asks + `payment.v1.PaymentService/VoidPayment`
	voidsMallory = `"customer_id": "mallory", "amount": {"currency_code": "JPY", "amount_minor": 1}}' $PAYMENTD ` +
		`payment.v1.PaymentService/VoidPayment`
)

var plants = []struct {
	name     string
	orders   string
	payments string
	want     string
	repair   string   // what --repair says begins so
	todo     []string // what the finding tells a person to do has these in it
}{
	{
		name: "paid long ago", want: "paid-not-completed " + pending, repair: "nothing: its CHARGE is due already",
		payments: `UPDATE payments SET updated_at = now() - interval '1 hour' WHERE id = '` + pending + `'`,
	},
	{
		name: "completed, and voided", want: "completed-not-held " + paid, repair: "none: no step",
		todo: []string{"sagactl order cancel " + paid, "sagactl settle " + paid + " --reason"},
		payments: `UPDATE payments SET status = 'VOIDED' WHERE id = '` + paid + `';
			DELETE FROM ledger WHERE payment_id = '` + paid + `'`,
	},
	{
		name: "completed, and the key is gone", want: "completed-not-held " + paid, repair: "none: no step",
		todo: []string{
			chargesAgain, "sagactl order cancel " + paid, order.NotRefunded, "sagactl settle " + paid + " --reason",
		},
		payments: `DELETE FROM ledger WHERE payment_id = '` + paid + `';
			DELETE FROM payments WHERE id = '` + paid + `'`,
	},
	{
		name: "completed for another amount", want: "completed-not-held " + paid, repair: "none: no step",
		todo:   []string{"600 JPY of ada", voids, "sagactl order cancel " + paid, "sagactl settle " + paid},
		orders: `UPDATE orders SET amount_minor = 601 WHERE id = '` + paid + `'`,
	},
	{
		name: "completed, and the ledger lacks the charge", want: "completed-not-held " + paid, repair: "none: no step",
		payments: `DELETE FROM ledger WHERE payment_id = '` + paid + `'`,
	},
	{
		name: "cancelled, and the money is held", want: "cancelled-but-held " + paid,
		repair: "none: no step of the saga leaves CANCELLED",
		orders: `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '` + paid + `'`,
	},
	{
		name: "cancelled, and a late charge may come", want: "cancelled-but-held " + declined,
		repair:   "none: no step of the saga leaves CANCELLED",
		payments: `DELETE FROM payments WHERE id = '` + declined + `'`,
	},
	{
		name: "a payment without its order", want: "payment-without-order " + unknown, repair: "none: no order",
		payments: plantPayment(unknown, "CHARGED") + `;` + plantEntry(unknown, "CHARGE"),
	},
	{
		name: "a payment without its order that holds nothing", want: "sealed-without-order " + unknown,
		repair: "nothing to do", payments: plantPayment(unknown, "VOIDED"),
	},
	{
		name: "a payment without its order, refunded", want: "sealed-without-order " + unknown, repair: "nothing to do",
		payments: plantPayment(unknown, "REFUNDED") + `;` + plantEntry(unknown, "CHARGE") + `;` +
			plantEntry(unknown, "REFUND"),
	},
	{
		name: "a payment without its order, and the ledger lacks the refund",
		want: "payment-without-order " + unknown, repair: "none: no order",
		payments: plantPayment(unknown, "REFUNDED") + `;` + plantEntry(unknown, "CHARGE"),
	},
	{
		name: "a payment under the first of all keys",
		want: "payment-without-order 00000000-0000-0000-0000-000000000000", repair: "none: no order",
		payments: plantPayment("00000000-0000-0000-0000-000000000000", "CHARGED"),
	},
	{
		name: "a payment of another amount", want: "payment-without-order " + declined, repair: "none: no order",
		orders: `UPDATE orders SET amount_minor = 601 WHERE id = '` + declined + `'`,
	},
	{
		name: "refunded, and the ledger lacks the refund", want: "refund-missing " + refunded,
		repair:   "none: the ledger is never edited",
		payments: `DELETE FROM ledger WHERE payment_id = '` + refunded + `' AND kind = 'REFUND'`,
	},
	{
		name: "completed once, and voided", want: "refund-missing " + declined,
		repair: "none: no step of the saga leaves CANCELLED", todo: []string{"give the money back by other means"},
		orders: `UPDATE orders SET completed_at = created_at WHERE id = '` + declined + `'`,
	},
	{
		name: "completed once, and its payment forgotten", want: "stuck " + cancelling,
		repair: "nothing: its VOID is due already", todo: []string{"right paymentd", "sagactl settle " + cancelling},
		orders: `UPDATE orders SET completed_at = created_at WHERE id = '` + cancelling + `';
			UPDATE outbox SET last_code = 'NOT_REFUNDED' WHERE kind = 'VOID'`,
		payments: plantPayment(cancelling, "VOIDED"),
	},
	{
		name: "charged to somebody else", want: "stuck " + pending, repair: "nothing: its CHARGE is parked",
		todo:   []string{"1 JPY of mallory", voidsMallory, "sagactl settle " + pending},
		orders: `UPDATE outbox SET parked_at = now(), last_code = 'ECHO_MISMATCH' WHERE kind = 'CHARGE'`,
		payments: `UPDATE payments SET customer_id = 'mallory', amount_minor = 1 WHERE id = '` + pending + `';
			UPDATE ledger SET amount_minor = 1 WHERE payment_id = '` + pending + `'`,
	},
	{
		name: "expired early", want: "stuck " + pending, repair: "nothing: its CHARGE is parked",
		orders: `UPDATE outbox SET parked_at = now(), last_code = 'EXPIRED_EARLY' WHERE kind = 'CHARGE'`,
		payments: `UPDATE payments SET status = 'DECLINED', decline_reason = 'EXPIRED' WHERE id = '` + pending + `';
			DELETE FROM ledger WHERE payment_id = '` + pending + `'`,
	},
	{
		name: "settled by hand, and somebody's money is held", want: "settled-by-operator " + pending,
		repair: "nothing to do", todo: []string{"1 JPY of mallory", voidsMallory},
		orders: `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'OPERATOR' WHERE id = '` + pending + `';
			DELETE FROM outbox WHERE kind = 'CHARGE';
			INSERT INTO audit (order_id, action, operator, reason)
			VALUES ('` + pending + `', 'SETTLE', 'ada', 'the key is another''s')`,
		payments: `UPDATE payments SET customer_id = 'mallory', amount_minor = 1 WHERE id = '` + pending + `';
			UPDATE ledger SET amount_minor = 1 WHERE payment_id = '` + pending + `'`,
	},
	{
		name: "tried again by hand, and not settled", want: "cancelled-but-held " + pending,
		repair: "none: no step of the saga leaves CANCELLED", todo: []string{voids},
		orders: `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '` + pending + `';
			DELETE FROM outbox WHERE kind = 'CHARGE';
			INSERT INTO audit (order_id, action, kind, operator, reason)
			VALUES ('` + pending + `', 'RETRY', 'CHARGE', 'ada', 'once more')`,
	},
	{
		name: "cancelling for long, and charged", want: "refund-missing " + cancelling,
		repair: "nothing: its VOID is due already",
		orders: `UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = '` + cancelling + `'`,
		payments: plantPayment(cancelling, "CHARGED") + `;` +
			plantEntry(cancelling, "CHARGE"),
	},
	{
		name: "charged twice", want: "ledger-wrong " + paid, repair: "none: the ledger is never edited",
		payments: `ALTER TABLE ledger DROP CONSTRAINT ledger_pkey;` + plantEntry(paid, "CHARGE"),
	},
	{
		name: "pending, and no command", want: "stranded " + pending, repair: "put its CHARGE back",
		orders: `DELETE FROM outbox WHERE kind = 'CHARGE'`,
	},
	{
		name: "cancelling, and no void", want: "stranded " + cancelling, repair: "put its VOID back",
		orders: `UPDATE outbox SET kind = 'CHARGE' WHERE kind = 'VOID'`,
	},
	{
		name: "past its deadline", want: "stuck " + pending, repair: "nothing: its CHARGE is due already",
		orders: `UPDATE orders SET deadline_at = now() - interval '1 hour' WHERE id = '` + pending + `'`,
	},
	{
		name: "cancelling for long", want: "stuck " + cancelling, repair: "made its VOID due",
		orders: `UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = '` + cancelling + `';
			UPDATE outbox SET ready_at = now() + interval '1 day' WHERE kind = 'VOID'`,
	},
	{
		name: "parked", want: "stuck " + pending, repair: "nothing: its CHARGE is parked",
		orders: `UPDATE outbox SET parked_at = now(), last_code = 'KEY_REUSED' WHERE kind = 'CHARGE'`,
	},
	{
		name: "in conflict", want: "stuck " + cancelling, repair: "nothing: its VOID is due already",
		orders: `UPDATE outbox SET last_code = 'KEY_REUSED' WHERE kind = 'VOID'`,
	},
	{
		name: "settled, and a charge is left", want: "stuck " + paid, repair: "nothing: a relay drops the command",
		orders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + paid + `', 'CHARGE', '')`,
	},
	{
		name: "completed, and a void is left", want: "stuck " + paid, repair: "none: delivering it would refund",
		orders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + paid + `', 'VOID', '')`,
	},
	{
		name: "a command without its order", want: "stuck " + unknown, repair: "none: nothing can settle it",
		orders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + unknown + `', 'CHARGE', '')`,
	},
	{
		name: "a command without its order, delivered", want: "payment-without-order " + unknown,
		repair:   "none: no order",
		orders:   `INSERT INTO outbox (key, kind, payload) VALUES ('` + unknown + `', 'VOID', '')`,
		payments: plantPayment(unknown, "CHARGED") + `;` + plantEntry(unknown, "CHARGE"),
	},
	{
		name: "refunded, and both forgotten", want: "cancelled-but-held " + refunded, repair: "none: no step",
		orders: completedOnce + recordedRefund,
		payments: `DELETE FROM ledger WHERE payment_id = '` + refunded + `';
			DELETE FROM payments WHERE id = '` + refunded + `'`,
	},
	{
		name: "settled by hand", want: "settled-by-operator " + paid, repair: "nothing to do",
		orders: `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'OPERATOR' WHERE id = '` + paid + `';
			INSERT INTO audit (order_id, action, operator, reason)
			VALUES ('` + paid + `', 'SETTLE', 'ada', 'the key is another''s')`,
	},
}

// completedOnce and recordedRefund are what an order that was paid and cancelled has of it.
const (
	completedOnce  = `UPDATE orders SET completed_at = created_at WHERE id = '` + refunded + `';`
	recordedRefund = `
		INSERT INTO changes (order_id, from_status, to_status, at, cause, who)
		VALUES ('` + refunded + `', 'CANCELLING', 'CANCELLED', now(), 'payment refunded', 'relay:1')`
)

// A payment and its refund were forgotten with each other, in a restore of the payments. The order knows that its money
// was given back: a tombstone under its key is all that was missing. An order that knows of no refund is found.
func TestARefundThatIsRecordedMayBeForgotten(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	runAll(t, s.orders.Pool, completedOnce+recordedRefund)
	run(t, s.payments.Pool, `DELETE FROM ledger WHERE payment_id = $1`, refunded)
	run(t, s.payments.Pool, `UPDATE payments SET status = 'VOIDED' WHERE id = $1`, refunded)
	if got, _, summary := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{}); len(got) > 0 || !summary.Clean {
		t.Errorf("the refund is recorded: got %q, want nothing", got)
	}
	run(t, s.orders.Pool, `DELETE FROM changes`)
	want := []string{"refund-missing " + refunded}
	if got, _, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{}); !slices.Equal(got, want) {
		t.Errorf("no refund is recorded: got %q, want %q", got, want)
	}
}

// Each damage is planted by hand into a healthy system. It alone is found, under its name, whatever the window.
// Repair says what it did, changes no order and no payment, and is harmless the second time.
func TestPlantedDamageIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range plants {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := healthy(t)
			if tt.orders != "" {
				runAll(t, s.orders.Pool, tt.orders)
			}
			if tt.payments != "" {
				runAll(t, s.payments.Pool, tt.payments)
			}
			want := []string{tt.want}
			for _, window := range []int{1, 2, 0} {
				got, _, summary := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{Window: window})
				if !slices.Equal(got, want) {
					t.Errorf("window %d: got %q, want %q", window, got, want)
				}
				class, _, _ := strings.Cut(tt.want, " ")
				if failed := reconcile.Class(class).Fails(); summary.Clean == failed {
					t.Errorf("got clean %v, want %v", summary.Clean, !failed)
				}
			}
			facts := s.facts(t)
			got, found, summary := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{Repair: true})
			if !slices.Equal(got, want) || !strings.HasPrefix(found[0].Repair, tt.repair) {
				t.Errorf("repair: got %q, which says %q; want %q", got, found[0].Repair, tt.repair)
			}
			for _, part := range tt.todo {
				if !strings.Contains(found[0].Todo, part) {
					t.Errorf("got %q to do, want %q in it", found[0].Todo, part)
				}
			}
			if again, _, second := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{
				Repair: true,
			}); second.PutBack > 0 ||
				summary.PutBack > 0 && len(again) > 0 {
				t.Errorf("repair again: got %q and %d put back; want nothing put back, and no finding that was mended",
					again, second.PutBack)
			}
			if after := s.facts(t); after != facts {
				t.Errorf("repair changed an order or a payment: got\n%s\nwant\n%s", after, facts)
			}
		})
	}
}

// facts are all that Repair must never change.
func (s system) facts(t *testing.T) string {
	t.Helper()
	all := ""
	for _, read := range []struct {
		pool  *pgxpool.Pool
		table string
	}{{s.orders.Pool, "orders"}, {s.orders.Pool, "audit"}, {s.payments.Pool, "payments"}, {s.payments.Pool, "ledger"}} {
		var text string
		err := read.pool.QueryRow(t.Context(),
			`SELECT coalesce(string_agg(r::text, E'\n' ORDER BY r::text), '') FROM `+read.table+` AS r`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		all += text + "\n"
	}
	return all
}

// The call that mends a finding names what paymentd has stored, or would store.
func TestTheCallThatMendsIsGiven(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	run(t, s.orders.Pool, `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = $1`, paid)
	_, found, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{})
	want := `{"payments_database": "` + identityOf(t, s.payments.Pool) + `", ` +
		`"payment_id": "` + paid + `", "customer_id": "ada", ` +
		`"amount": {"currency_code": "JPY", "amount_minor": 600}}`
	if len(found) != 1 || !strings.Contains(found[0].Todo, want) ||
		!strings.HasSuffix(found[0].Todo, "payment.v1.PaymentService/VoidPayment") {
		t.Errorf("got %+v, want the call of VoidPayment with %s", found, want)
	}
}

// A payment that no order pays for: its call names it, and what is left after the call is listed, and no failure. A
// command without an order whose payment holds nothing remains one.
func TestWhatHoldsMoneyWithoutAnOrderHasItsCall(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	runAll(t, s.payments.Pool, plantPayment(unknown, "CHARGED")+`;`+plantEntry(unknown, "CHARGE"))
	_, found, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{})
	want := `"payment_id": "` + unknown + `", "customer_id": "ada", ` +
		`"amount": {"currency_code": "JPY", "amount_minor": 600}}`
	if len(found) != 1 || !strings.Contains(found[0].Todo, want) {
		t.Errorf("got %+v, want the call of VoidPayment with %s", found, want)
	}
	runTogether(t, s.payments.Pool,
		`UPDATE payments SET status = 'REFUNDED' WHERE id = '`+unknown+`';`+plantEntry(unknown, "REFUND"))
	got, _, summary := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{})
	if !slices.Equal(got, []string{"sealed-without-order " + unknown}) || !summary.Clean {
		t.Errorf("after the call: got %q, clean %v; want it listed, and clean", got, summary.Clean)
	}
	run(t, s.orders.Pool, `INSERT INTO outbox (key, kind, payload) VALUES ($1, 'CHARGE', '')`, unknown)
	got, _, summary = look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{})
	if !slices.Equal(got, []string{"sealed-without-order " + unknown, "stuck " + unknown}) || summary.Clean {
		t.Errorf("with a command: got %q, clean %v; want it stuck as well, and not clean", got, summary.Clean)
	}
}

// Whoever need not know the customers is told as much of what is wrong, and that a payment is another customer's.
func TestNamelessFindingsNameNoCustomer(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	run(t, s.payments.Pool, `UPDATE payments SET customer_id = 'mallory' WHERE id = $1`, paid)
	runAll(t, s.payments.Pool, plantPayment(unknown, "CHARGED")+`;`+plantEntry(unknown, "CHARGE"))
	want, named, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{})
	got, nameless, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{Nameless: true})
	if !slices.Equal(got, want) || len(got) != 2 {
		t.Fatalf("got %q, want the two that are found with names, %q", got, want)
	}
	for i, f := range nameless {
		text := strings.NewReplacer("mallory", reconcile.AnotherCustomer, "ada", reconcile.Customer)
		if f.OrderID == unknown {
			text = strings.NewReplacer("ada", reconcile.Customer)
		}
		for of, pair := range map[string][2]string{
			"found": {f.Found, named[i].Found}, "todo": {f.Todo, named[i].Todo},
		} {
			if got, want := pair[0], text.Replace(pair[1]); got != want || want == pair[1] && of == "todo" {
				t.Errorf("%s, %s: got %q, want %q", f.Class, of, got, want)
			}
		}
	}
}
