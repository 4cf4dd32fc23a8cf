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
		name: "revoked-grant", says: "a daemon loses one right after another, until all are given back",
		targets: []string{orderd, paymentd, relays, ordersDB, paymentsDB}, weight: 6,
		lasts: between(3*time.Second, 8*time.Second), run: revokedGrant,
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

// right is what a daemon needs to do, by its group.
type right struct {
	pool  *pgxpool.Pool
	group string
	may   string // "INSERT ON ledger"
}

func (s *system) rights() (all []right) {
	add := func(pool *pgxpool.Pool, group string, may ...string) {
		for _, what := range may {
			all = append(all, right{pool, group, what})
		}
	}
	add(s.orders, "hosho_orderd", "SELECT ON orders", "INSERT ON orders", "UPDATE ON orders", "INSERT ON changes",
		"INSERT ON outbox", "SELECT ON outbox_claims")
	add(s.orders, "hosho_relay", "SELECT ON orders", "UPDATE ON orders", "SELECT ON outbox", "INSERT ON outbox",
		"UPDATE ON outbox", "DELETE ON outbox", "INSERT ON attempts", "INSERT ON changes", "UPDATE ON outbox_claims")
	add(s.payments, "hosho_paymentd", "SELECT ON payments", "INSERT ON payments", "UPDATE ON payments",
		"INSERT ON ledger", "SELECT ON database_identity")
	return all
}

// revoke takes a right to a table, and with it that to each column.
func (r right) revoke(ctx context.Context) error {
	_, err := r.pool.Exec(context.WithoutCancel(ctx), `REVOKE `+r.may+` FROM `+r.group)
	return err
}

// giveBack gives all of them back, as the migrations gave them.
func (r right) giveBack(ctx context.Context) error {
	_, err := r.pool.Exec(context.WithoutCancel(ctx), `SELECT grant_roles()`)
	return err
}

func withoutRight(ctx context.Context, s *system, random *rand.Rand) error {
	r := one(s.rights(), random)
	if err := r.revoke(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return r.giveBack(ctx)
}

// revokedGrant takes from one daemon one right after another, until it has none or the time is over.
func revokedGrant(ctx context.Context, s *system, random *rand.Rand) error {
	all := s.rights()
	victim := one(all, random)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, r := range all {
		if r.group != victim.group {
			continue
		}
		if err := r.revoke(ctx); err != nil {
			return errors.Join(err, victim.giveBack(ctx))
		}
		if !wait.For(ctx, span(random, 0, time.Second)) {
			break
		}
	}
	<-ctx.Done()
	return victim.giveBack(ctx)
}

// wrongPassword changes the password of a daemon's login, and ends its sessions so that it notices.
func wrongPassword(ctx context.Context, s *system, random *rand.Rand) error {
	login := one(stack.Logins(), random)
	pool := s.orders
	if login == s.Paymentd.Name {
		pool = s.payments
	}
	forever := context.WithoutCancel(ctx)
	change := func(password string) error {
		_, err := pool.Exec(forever, fmt.Sprintf(`ALTER ROLE %s PASSWORD '%s'`, login, password))
		return err
	}
	if err := change("another"); err != nil {
		return err
	}
	_, err := pool.Exec(forever, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, login)
	<-ctx.Done()
	return errors.Join(err, change(s.Password(login)))
}

// wrongDatabase restarts a daemon with the other context's database, to which it comes as one that may work there, or
// with one that there is not.
func wrongDatabase(ctx context.Context, s *system, random *rand.Rand) error {
	victim := one(s.Daemons(), random)
	wrong := s.As("paymentd", s.PaymentsURL())
	if victim == s.Paymentd {
		wrong = s.As("relay", s.OrdersURL())
	}
	if random.IntN(2) == 0 {
		u, err := url.Parse(wrong)
		if err != nil {
			return err
		}
		u.Path = "/nobodys"
		wrong = u.String()
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
