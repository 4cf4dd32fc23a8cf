package stack_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Every program has a login of its own, of a group with the rights that it needs and no more, and was migrated by the
// owner of its schema. Orders are paid, declined and cancelled; one whose key is somebody else's is settled by hand.
func TestASystemWhoseProgramsHaveRoles(t *testing.T) {
	t.Parallel()
	slow.Long(t, "starts one more system with roles, as the demo and chaos do")
	s := start(t, bin, 2, func(c *stack.Config) { c.Roles = true })
	s.wantLogins(t)
	paid, declined, cancelled := s.place(t, 600), s.place(t, 9996), s.place(t, 700)
	if _, err := s.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: cancelled}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "all are settled", allSettled)
	for id, want := range map[string]string{paid: "COMPLETED", declined: "CANCELLED", cancelled: "CANCELLED"} {
		s.await(t, want, `SELECT status = $2 FROM orders WHERE id = $1`, id, want)
	}
	s.agree(t, true)
	s.noAlarms(t)

	for _, relay := range s.Relays {
		relay.Signal(syscall.SIGSTOP)
	}
	foreign := s.place(t, 600)
	execute(t, s.PaymentsURL(), `
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ('`+foreign+`', 'mallory', 1, 'JPY', 'VOIDED')`)
	for _, relay := range s.Relays {
		relay.Signal(syscall.SIGCONT)
	}
	s.await(t, "its command is in conflict",
		`SELECT EXISTS (SELECT FROM outbox WHERE key = $1 AND last_code = 'KEY_REUSED')`, foreign)
	conn, err := s.Dial(s.Relays[0], "operator")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = relayv1.NewOutboxServiceClient(conn).SettleParked(t.Context(), &relayv1.SettleParkedRequest{
		OrderId: foreign, Operator: "ada", Reason: "the key is another's",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, "it is settled by hand", `SELECT status = 'CANCELLED' FROM orders WHERE id = $1`, foreign)
}

// A system that worked without roles is given them: its databases go to their owners, with the orders that are in them.
func TestASystemOfBeforeThereWereRoles(t *testing.T) {
	t.Parallel()
	slow.Long(t, "starts a system twice; package migrations makes roles for databases of before")
	var dir string
	before := start(t, bin, 1, func(c *stack.Config) { dir = c.Dir })
	early := before.place(t, 600)
	before.await(t, "it is settled", allSettled)
	before.orders.Close()
	before.payments.Close()
	if err := before.Stop(); err != nil {
		t.Fatal(err)
	}
	s := start(t, bin, 1, func(c *stack.Config) { c.Dir, c.Roles = dir, true })
	s.wantLogins(t)
	if _, err := s.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: early}); err != nil {
		t.Fatal(err)
	}
	s.place(t, 700)
	s.await(t, "all are settled", allSettled)
	s.agree(t, true)
}

// The same where each database has a standby, one of which takes over.
func TestRolesOutliveAFailover(t *testing.T) {
	t.Parallel()
	slow.Long(t, "fails over once more, with logins")
	s := start(t, bin, 1, func(c *stack.Config) { c.Roles, c.Standbys = true, true })
	s.wantLogins(t)
	if err := s.Failover(t.Context(), stack.OrdersDatabase); err != nil {
		t.Fatal(err)
	}
	s.orders = open(t, s.OrdersURL())
	s.await(t, "orderd has come to the new primary", `
		SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'orderd' AND application_name = 'orderd')`)
	s.place(t, 600)
	s.await(t, "it is settled", allSettled)
	s.wantLogins(t)
}

// The same through poolers, which log in with the passwords that they were given.
func TestRolesBehindPoolers(t *testing.T) {
	t.Parallel()
	slow.Long(t, "starts one more system, behind poolers")
	pgtest.PoolerOrLeaveOut(t)
	s := start(t, bin, 1, func(c *stack.Config) {
		c.Roles, c.Poolers = true, map[string]string{"default_pool_size": "12"}
	})
	s.wantLogins(t)
	s.place(t, 600)
	s.await(t, "it is settled", allSettled)
}

// wantLogins wants the sessions of the daemons to be those of their logins.
func (s *system) wantLogins(t *testing.T) {
	t.Helper()
	var all []string
	for _, pool := range []string{s.OrdersURL(), s.PaymentsURL()} {
		rows, err := open(t, pool).Query(t.Context(), `
			SELECT DISTINCT usename::text
			FROM pg_stat_activity
			WHERE datname IN ('orders', 'payments') AND application_name <> 'test' AND usename !~ '_migrator$'`)
		if err != nil {
			t.Fatal(err)
		}
		logins, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, logins...)
	}
	slices.Sort(all)
	if want := stack.Logins(); !slices.Equal(all, want) {
		t.Errorf("got sessions of %v, want those of %v", all, want)
	}
}
