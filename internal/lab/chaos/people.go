package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// What people do. They need the databases to be up, to make a mistake and to put it right.
var peopleFaults = []fault{
	{
		name: "misconfigured", says: "a right is missing, a password or a database is wrong, until it is put right",
		targets: []string{orderd, paymentd, relays, ordersDB, paymentsDB}, weight: 4,
		lasts: between(3*time.Second, 8*time.Second), run: misconfigured,
	},
	{
		name: "wrong-paymentd", says: "the relays are led to a paymentd that has another database",
		targets: []string{peer, paymentsDB}, weight: 2,
		lasts: between(2*time.Second, 6*time.Second), run: wrongPaymentd,
	},
	{
		name: "tampered-outbox", says: "payloads in the outbox are changed to another's of 1",
		targets: []string{relays, ordersDB}, weight: 2,
		lasts: between(2*time.Second, 6*time.Second), run: tamperWithOutbox,
	},
	{
		name: "forgotten-payment", says: "payments of COMPLETED orders are lost, and the orders are cancelled",
		targets: []string{orderd, paymentd, relays, ordersDB, paymentsDB, net, peer, dbNet},
		special: "an operator has to settle the orders",
		lasts:   between(2*time.Second, 6*time.Second), run: forgetPayments,
	},
}

// misconfigured makes one mistake after the other, and puts each of them right.
func misconfigured(ctx context.Context, s *system, random *rand.Rand) error {
	mistakes := []func(context.Context, *system, *rand.Rand) error{withoutRight, wrongPassword, wrongDatabase}
	for {
		during, end := context.WithTimeout(ctx, span(random, time.Second, 3*time.Second))
		err := mistakes[random.IntN(len(mistakes))](during, s, random)
		end()
		if err != nil || !wait.For(ctx, span(random, 0, time.Second)) {
			return err
		}
	}
}

// right is what a daemon needs to do.
type right struct {
	pool *pgxpool.Pool
	may  string // "INSERT ON ledger"
}

func (s *system) rights() (all []right) {
	for _, may := range []string{
		"SELECT ON orders", "INSERT ON orders", "UPDATE ON orders",
		"SELECT ON outbox", "INSERT ON outbox", "UPDATE ON outbox", "DELETE ON outbox", "INSERT ON attempts",
	} {
		all = append(all, right{s.orders, may})
	}
	for _, may := range []string{"SELECT ON payments", "INSERT ON payments", "UPDATE ON payments", "INSERT ON ledger"} {
		all = append(all, right{s.payments, may})
	}
	return all
}

func withoutRight(ctx context.Context, s *system, random *rand.Rand) error {
	rights := s.rights()
	r := rights[random.IntN(len(rights))]
	if _, err := r.pool.Exec(context.WithoutCancel(ctx), `REVOKE `+r.may+` FROM `+stack.Role); err != nil {
		return err
	}
	<-ctx.Done()
	_, err := r.pool.Exec(context.WithoutCancel(ctx), `GRANT `+r.may+` TO `+stack.Role)
	return err
}

// wrongPassword changes the password of the daemons' role, and ends their sessions so that they notice.
func wrongPassword(ctx context.Context, s *system, random *rand.Rand) error {
	pool := []*pgxpool.Pool{s.orders, s.payments}[random.IntN(2)]
	forever := context.WithoutCancel(ctx)
	change := func(password string) error {
		_, err := pool.Exec(forever, fmt.Sprintf(`ALTER ROLE %s PASSWORD '%s'`, stack.Role, password))
		return err
	}
	if err := change("another"); err != nil {
		return err
	}
	_, err := pool.Exec(forever, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`,
		stack.Role)
	<-ctx.Done()
	return errors.Join(err, change(secret))
}

// wrongDatabase restarts a daemon with the other context's database, or with one that there is not.
func wrongDatabase(ctx context.Context, s *system, random *rand.Rand) error {
	victim := one(s.Daemons(), random)
	server, database := s.PaymentsURL(), "payments"
	if victim == s.Paymentd {
		server, database = s.OrdersURL(), "orders"
	}
	if random.IntN(2) == 0 {
		database = "nobodys"
	}
	wrong, err := toDaemons(server, database)
	if err != nil {
		return err
	}
	if err := victim.Stop(); err != nil {
		return err
	}
	if err := victim.Start(databaseOf(victim) + "=" + wrong); err != nil {
		return err
	}
	<-ctx.Done()
	if err := victim.Stop(); err != nil {
		return err
	}
	return victim.Start()
}

// databaseOf returns the variable that names a daemon's database.
func databaseOf(p *stack.Process) string {
	name, _, _ := strings.Cut(strings.ToUpper(p.Name), "-") // RELAY of relay-2
	return name + "_DATABASE_URL"
}

// toDaemons returns a URL of a database, on the server of another, by which the daemons' role reaches it.
func toDaemons(direct, database string) (string, error) {
	u, err := url.Parse(direct)
	if err != nil {
		return "", err
	}
	u.User, u.Path = url.UserPassword(stack.Role, secret), "/"+database
	return u.String(), nil
}
