package stack_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Somebody takes from the daemons what they need of a database, orders come and one is cancelled, and later it is put
// right. The orders wait in the meantime: no attempt is spent, none is cancelled or parked, and all end as if nothing
// had been.
func TestOrdersWaitWhileADatabaseIsMisconfigured(t *testing.T) {
	t.Parallel()
	slow.Long(t, "starts databases anew under the whole system")
	s := start(t, bin, 1, func(c *stack.Config) { c.Roles = true })
	const everybodyOut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'paymentd'`
	payments := func(statements ...string) func() {
		return func() { execute(t, s.PaymentsURL(), statements...) }
	}
	server := func(statements ...string) func() {
		return func() {
			s.payments.Reset()
			execute(t, s.Payments.URL("postgres"), statements...)
		}
	}
	nobodyIn := `ALTER DATABASE payments ALLOW_CONNECTIONS false`
	tests := []struct {
		name         string
		breaks, ends func()
		saysNotReady string // within five seconds; empty: it is not waited for
	}{
		{
			"no right to insert", payments(`REVOKE INSERT ON ledger FROM hosho_paymentd`),
			payments(`SELECT grant_roles()`), "it lacks INSERT on ledger (amount_minor, currency, kind, ",
		},
		{
			"another password", payments(`ALTER ROLE paymentd PASSWORD 'other'`, everybodyOut),
			payments(fmt.Sprintf(`ALTER ROLE paymentd PASSWORD '%s'`, s.Password("paymentd"))), "",
		},
		{
			"no database", server(nobodyIn, everybodyOut, `ALTER DATABASE payments RENAME TO others`),
			server(`ALTER DATABASE others RENAME TO payments`, `ALTER DATABASE payments ALLOW_CONNECTIONS true`), "",
		},
		{
			"no table", payments(`ALTER TABLE payments RENAME TO others`),
			payments(`ALTER TABLE others RENAME TO payments`), "",
		},
		{
			"no column", payments(`ALTER TABLE ledger RENAME currency TO coin`),
			payments(`ALTER TABLE ledger RENAME coin TO currency`), "",
		},
		{
			"no schema", payments(`ALTER ROLE paymentd SET search_path = 'elsewhere'`, everybodyOut),
			payments(`ALTER ROLE paymentd RESET search_path`, everybodyOut), "",
		},
	}
	for _, test := range tests[:slow.Times(3, len(tests))] {
		test.breaks()
		ids := s.placeSome(t)
		s.await(t, "a command was refused: "+test.name,
			`SELECT EXISTS (SELECT FROM attempts WHERE code = 'DATABASE_MISCONFIGURED' AND order_id = ANY($1))`, ids)
		if test.saysNotReady != "" {
			awaitLog(t, s.Paymentd, test.saysNotReady)
		}
		test.ends()
		s.wantAsIfNothingHadBeen(t, test.name, ids)
	}

	// The relay's own database: a reply is in hand and cannot be written down.
	s.Relays[0].Signal(syscall.SIGSTOP)
	ids := s.placeSome(t)
	execute(t, s.OrdersURL(), `REVOKE UPDATE ON orders FROM hosho_relay`)
	s.Relays[0].Signal(syscall.SIGCONT)
	s.await(t, "commands were claimed and their replies not settled",
		`SELECT count(*) > 0 FROM outbox WHERE claims > 0 AND key = ANY($1)`, ids)
	execute(t, s.OrdersURL(), `SELECT grant_roles()`)
	s.wantAsIfNothingHadBeen(t, "the relay has no right to update", ids)

	s.agree(t, true)
	s.noAlarms(t)
}

// placeSome places orders, of which the first is cancelled.
func (s *system) placeSome(t *testing.T) []string {
	t.Helper()
	var ids []string
	for range 15 {
		ids = append(ids, s.place(t, 600))
	}
	if _, err := s.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: ids[0]}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func (s *system) wantAsIfNothingHadBeen(t *testing.T, what string, ids []string) {
	t.Helper()
	s.await(t, "every order is settled: "+what, allSettled)
	for query, want := range map[string]int{
		`FROM orders WHERE id = ANY($1) AND status = 'COMPLETED'`:                                len(ids) - 1,
		`FROM orders WHERE id = ANY($1) AND status = 'CANCELLED' AND cancel_reason = 'CUSTOMER'`: 1,
		`FROM attempts WHERE order_id = ANY($1) AND means NOT IN ('BLOCKED', 'DECIDED')`:         0,
	} {
		var got int
		if err := s.orders.QueryRow(t.Context(), `SELECT count(*) `+query, ids).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %d, want %d, of %s", what, got, want, query)
		}
	}
}

// execute runs statements as the superuser of a database, on a connection of its own.
func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
