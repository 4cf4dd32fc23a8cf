package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
	"hosho/migrations"
)

// moved is a system whose paymentd may be that of another environment, with a database that knows nothing.
type moved struct {
	*stack.Stack

	t      *testing.T
	orders orderv1.OrderServiceClient
}

const strangers = "strangers"

func startMoved(t *testing.T) *moved {
	t.Helper()
	s := startStack(t)
	if err := s.Payments.CreateDatabase(t.Context(), strangers); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Payments.Up(t.Context(), s.Payments.URL(strangers), nil); err != nil {
		t.Fatal(err)
	}
	return &moved{Stack: s, t: t, orders: orderv1.NewOrderServiceClient(dial(t, s.Orderd.Address))}
}

// paymentd starts paymentd anew on a database.
func (m *moved) paymentd(database string) {
	m.t.Helper()
	m.Paymentd.Kill()
	if err := m.Paymentd.Start("PAYMENTD_DATABASE_URL=" + m.Payments.URL(database)); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Paymentd.WaitReady(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// place places n orders.
func (m *moved) place(n int) (ids []string) {
	m.t.Helper()
	for range n {
		reply, err := m.orders.CreateOrder(m.t.Context(), &orderv1.CreateOrderRequest{
			CustomerId: "ada", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
		})
		if err != nil {
			m.t.Fatal(err)
		}
		ids = append(ids, reply.GetOrder().GetOrderId())
	}
	return ids
}

// await waits until all of the orders have a status.
func (m *moved) await(ids []string, want string) {
	m.t.Helper()
	m.eventually("the orders are "+want, func() bool {
		return m.count(m.OrdersURL(), `SELECT count(*) FROM orders WHERE id = ANY($1) AND status = $2`, ids, want) ==
			len(ids)
	})
}

// awaitSilence waits until some of the orders' commands have been held back: once the breaker is open, others wait.
func (m *moved) awaitSilence(ids ...string) {
	m.t.Helper()
	m.eventually("the commands are held back", func() bool {
		return m.count(m.OrdersURL(), `
			SELECT count(*) FROM outbox
			WHERE key = ANY($1) AND last_code = 'WRONG_PAYMENTS_DATABASE'`, ids) > 0
	})
	if n := m.count(m.OrdersURL(), `SELECT count(*) FROM outbox WHERE attempts > 0`); n != 0 {
		m.t.Errorf("got %d commands that spent an attempt, want none", n)
	}
}

func (m *moved) count(url, sql string, args ...any) (n int) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), url)
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close(m.t.Context())
	if err := conn.QueryRow(m.t.Context(), sql, args...).Scan(&n); err != nil {
		m.t.Fatal(err)
	}
	return n
}

func (m *moved) eventually(what string, done func() bool) {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (m *moved) ask(args ...string) (string, error) {
	cmd, _ := sagactl(m.t, append(args, "--relay", m.Relays[0].Address)...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func (m *moved) status() (string, error) {
	return m.ask("status", "--orderd", m.Orderd.Address, "--paymentd", m.Paymentd.Address)
}

// A paymentd of another environment takes the place of the right one: 20 orders and 6 cancellations wait and are told
// of, nothing is decided there, and all of it goes on when the right one is back. Then the database is swapped under
// the running paymentd; and at last an operator accepts it.
func TestAPaymentdOfAnotherEnvironmentDecidesNothing(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	m := startMoved(t)
	paid := m.place(6)
	m.await(paid, "COMPLETED")
	if output, err := m.status(); err != nil {
		t.Errorf("status before: %v\n%s", err, output)
	}
	m.paymentd(strangers)

	waiting := m.place(20)
	for _, id := range paid {
		if _, err := m.orders.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
			t.Fatal(err)
		}
	}
	m.awaitSilence(waiting...)
	m.awaitSilence(paid...)
	if err := m.Relays[0].WaitReady(t.Context()); err != nil {
		t.Errorf("the relay is not ready for its operator: %v", err)
	}
	output, err := m.status()
	if codeOf(err) != 1 || !strings.Contains(output, "and the orders trust") ||
		!strings.Contains(output, "sagactl accept-payments ") {
		t.Errorf("status: got %v\n%s\nwant exit 1, and what to do", err, output)
	}
	output, err = m.ask("explain", paid[0], "--orderd", m.Orderd.Address, "--paymentd", m.Paymentd.Address)
	if codeOf(err) != 2 || !strings.Contains(output, "PAYMENT  not known") ||
		!strings.Contains(output, "another payments database than the orders trust") {
		t.Errorf("explain of what was paid: got %v\n%s\nwant exit 2, and a payment that is not known", err, output)
	}
	decided := func() int { return m.count(m.Payments.URL(strangers), `SELECT count(*) FROM payments`) }
	if n := decided(); n != 0 {
		t.Errorf("got %d payments decided by the stranger, want none", n)
	}
	m.paymentd("payments")
	m.await(waiting, "COMPLETED")
	m.await(paid, "CANCELLED")
	if n := decided(); n != 0 {
		t.Errorf("got %d payments decided by the stranger in the end, want none", n)
	}

	m.swap("payments", strangers) // strangers is the right one now, and payments the other
	last := m.place(1)
	m.awaitSilence(last...)
	other := m.identity("payments")
	output, err = m.ask("accept-payments", other)
	if err == nil || !strings.Contains(output, "missing flags: --reason") {
		t.Errorf("accept without a reason: got %v\n%s", err, output)
	}
	right := m.identity(strangers)
	output, err = m.ask("accept-payments", strings.Replace(other, other[:4], "0000", 1), "--reason", "a slip")
	if codeOf(err) != 1 || !strings.Contains(output, "has not said that it has that payments database") {
		t.Errorf("accept what is not there: got %v\n%s\nwant exit 1", err, output)
	}
	accept := func() string {
		t.Helper()
		output, err := m.ask("accept-payments", other, "--operator", "ada", "--reason", "it was moved")
		if err != nil {
			t.Errorf("accept: %v\n%s", err, output)
		}
		return output
	}
	if output := accept(); !strings.Contains(output, "and no more "+right) {
		t.Errorf("accept: got %s\nwant what was trusted before", output)
	}
	m.await(last, "COMPLETED")
	if output := accept(); strings.Contains(output, "no more") {
		t.Errorf("accept again: got %s\nwant no change", output)
	}
	if n := m.count(m.OrdersURL(), `
		SELECT count(*) FROM payments_database_audit
		WHERE from_id = $1 AND to_id = $2 AND operator = 'ada' AND reason = 'it was moved'`, right, other); n != 1 {
		t.Errorf("got %d rows in the audit, want one", n)
	}
	if output, err := m.status(); err != nil {
		t.Errorf("status in the end: %v\n%s", err, output)
	}
	m.acceptOrders()
}

// acceptOrders has the payments trust one orders database, and then another.
func (m *moved) acceptOrders() {
	m.t.Helper()
	first, second := m.identity("payments"), m.identity(strangers) // any UUIDs
	for _, tt := range []struct{ id, want string }{
		{first, "trust orders database " + first + "\n"},
		{second, "and no more " + first},
		{second, "trust orders database " + second + "\n"},
	} {
		cmd, _ := sagactl(m.t, "accept-orders", tt.id, "--reason", "it was moved", "--paymentd", m.Paymentd.Address)
		if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), tt.want) {
			m.t.Errorf("accept-orders: got %v\n%s\nwant %q", err, output, tt.want)
		}
	}
	if n := m.count(m.Payments.URL("payments"), `SELECT count(*) FROM orders_database_audit`); n != 2 {
		m.t.Errorf("got %d rows in the audit, want two", n)
	}
}

// swap exchanges two databases under the running paymentd.
func (m *moved) swap(a, b string) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.Payments.URL("postgres"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close(m.t.Context())
	for _, step := range [][2]string{{a, "away"}, {b, a}, {"away", b}} {
		m.eventually("nobody is in the database", func() bool { // paymentd comes back again and again
			_, err := conn.Exec(m.t.Context(), `
				SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, step[0])
			if err == nil {
				_, err = conn.Exec(m.t.Context(), fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, step[0], step[1]))
			}
			return err == nil
		})
	}
}

func (m *moved) identity(database string) (id string) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.Payments.URL(database))
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close(m.t.Context())
	if err := conn.QueryRow(m.t.Context(), `SELECT id::text FROM database_identity`).Scan(&id); err != nil {
		m.t.Fatal(err)
	}
	return id
}
