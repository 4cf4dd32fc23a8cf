package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"hosho/internal/pgembed"
	"hosho/internal/wait"
)

var databaseFaults = []fault{
	{
		name: "crash-orders", says: "the orders database crashes", targets: []string{ordersDB}, weight: 16,
		lasts: between(2*time.Second, 8*time.Second), run: crashing((*system).ordersServer),
	},
	{
		name: "crash-payments", says: "the payments database crashes", targets: []string{paymentsDB}, weight: 16,
		lasts: between(2*time.Second, 8*time.Second), run: crashing((*system).paymentsServer),
	},
	{
		name: "crash-both", says: "both databases are down", targets: []string{ordersDB, paymentsDB}, weight: 4,
		lasts: between(2*time.Second, 10*time.Second), run: crashBoth,
	},
	{
		name: "kill-postmaster", says: "the postmaster of the orders database is killed", targets: []string{ordersDB},
		weight: 5,
		lasts:  between(time.Second, 3*time.Second), run: killPostmaster((*system).ordersServer),
	},
	{
		name: "kill-postmaster-payments", says: "the postmaster of the payments database is killed",
		targets: []string{paymentsDB}, weight: 5,
		lasts: between(time.Second, 3*time.Second), run: killPostmaster((*system).paymentsServer),
	},
	{
		name: "kill-backend", says: "backends are killed, and take their server down",
		targets: []string{ordersDB, paymentsDB}, weight: 8,
		lasts: between(time.Second, 4*time.Second), run: killBackends,
	},
	{
		name: "terminate", says: "the sessions of the daemons are ended", targets: []string{ordersDB, paymentsDB},
		lasts: between(time.Second, 4*time.Second), run: terminate,
	},
	{
		name: "lock-rows", says: "orders are locked by somebody", targets: []string{ordersDB},
		lasts: between(2*time.Second, 15*time.Second), run: holding(ordersPool, pgx.ReadCommitted,
			`SELECT count(*) FROM (
				SELECT o.id FROM orders AS o JOIN outbox AS b ON b.key = o.id
				ORDER BY o.id DESC LIMIT 20 FOR UPDATE OF o) AS locked`),
	},
	{
		name: "lock-outbox", says: "the outbox is locked by somebody", targets: []string{ordersDB},
		lasts: between(2*time.Second, 15*time.Second),
		run:   holding(ordersPool, pgx.ReadCommitted, `LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`),
	},
	{
		name: "lock-payments", says: "payments are locked by somebody", targets: []string{paymentsDB},
		lasts: between(2*time.Second, 8*time.Second),
		run:   holding(paymentsPool, pgx.ReadCommitted, `LOCK TABLE payments IN SHARE MODE`),
	},
	{
		name: "snapshot", says: "a REPEATABLE READ snapshot is held", targets: []string{ordersDB},
		lasts: between(5*time.Second, 20*time.Second),
		run:   holding(ordersPool, pgx.RepeatableRead, `SELECT count(*) FROM outbox`),
	},
	{
		name: "connections", says: "somebody takes every connection", targets: []string{ordersDB, paymentsDB},
		lasts: between(2*time.Second, 6*time.Second), run: takeConnections,
	},
	{
		name: "migrate", says: "both schemas are changed, while somebody reads the tables for long",
		targets: []string{ordersDB, paymentsDB},
		lasts:   between(2*time.Second, 8*time.Second), run: migrate,
	},
	{
		name: "backlog", says: "a million orders are due at once, and are drained",
		targets: []string{ordersDB, paymentsDB, relays},
		special: "it takes its time to drain",
		lasts:   between(backlogTime, backlogTime), run: backlog,
	},
	{
		name: "clock", says: "the payments database's clock is wrong", targets: []string{paymentsDB},
		special: "it takes libfaketime, and the orders' deadline is short then",
		lasts:   between(3*time.Second, 10*time.Second), run: wrongClock,
	},
	{
		name: "disk-full", says: "the disks of both databases are full", targets: []string{ordersDB, paymentsDB},
		weight:  3,
		special: "the databases then live in memory, which takes the right to mount a tmpfs",
		lasts:   between(2*time.Second, 6*time.Second), run: fillDisks,
	},
}

func (s *system) ordersServer() *pgembed.Server   { return s.Orders }
func (s *system) paymentsServer() *pgembed.Server { return s.Payments }

func ordersPool(s *system) *pgxpool.Pool   { return s.orders }
func paymentsPool(s *system) *pgxpool.Pool { return s.payments }

// crash stops a server in the middle of everything. It may have gone by itself.
func (s *system) crash(server *pgembed.Server) error {
	if err := server.Crash(); err != nil && !errors.Is(err, pgembed.ErrNotRunning) {
		return err
	}
	s.crashes.Add(1)
	return nil
}

// back starts servers again, however long that takes.
func (s *system) back(ctx context.Context, servers ...*pgembed.Server) error {
	var group errgroup.Group
	for _, server := range servers {
		group.Go(func() error { return server.Restart(context.WithoutCancel(ctx)) })
	}
	return group.Wait()
}

func crashing(of func(*system) *pgembed.Server) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		for {
			if err := s.crash(of(s)); err != nil {
				return err
			}
			wait.For(ctx, span(random, 0, time.Second))
			if err := s.back(ctx, of(s)); err != nil {
				return err
			}
			if !wait.For(ctx, span(random, 200*time.Millisecond, 2*time.Second)) {
				return nil
			}
		}
	}
}

func crashBoth(ctx context.Context, s *system, _ *rand.Rand) error {
	if err := errors.Join(s.crash(s.Orders), s.crash(s.Payments)); err != nil {
		return err
	}
	<-ctx.Done()
	return s.back(ctx, s.Orders, s.Payments)
}

func killPostmaster(of func(*system) *pgembed.Server) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		of(s).Kill()
		s.crashes.Add(1)
		wait.For(ctx, span(random, 0, time.Second))
		return s.back(ctx, of(s))
	}
}

// killBackends kills processes that serve the daemons. PostgreSQL then crashes all others and recovers by itself.
func killBackends(ctx context.Context, s *system, random *rand.Rand) error {
	for {
		pool := []*pgxpool.Pool{s.orders, s.payments}[random.IntN(2)]
		var pid int
		err := pool.QueryRow(ctx, `
			SELECT pid FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name <> $1 AND datname IS NOT NULL
			ORDER BY random() LIMIT 1`, application).Scan(&pid)
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil { // while it recovers there is none to kill
			s.crashes.Add(1)
		}
		if !wait.For(ctx, span(random, time.Second, 2*time.Second)) {
			return nil
		}
	}
}

func terminate(ctx context.Context, s *system, random *rand.Rand) error {
	for {
		pool := []*pgxpool.Pool{s.orders, s.payments}[random.IntN(2)]
		_, err := pool.Exec(ctx, `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name <> $1`, application)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !wait.For(ctx, span(random, 200*time.Millisecond, time.Second)) {
			return nil
		}
	}
}

// holding keeps a transaction open in which one statement was run.
func holding(
	of func(*system) *pgxpool.Pool, level pgx.TxIsoLevel, statement string,
) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, _ *rand.Rand) error {
		forever := context.WithoutCancel(ctx)
		tx, err := of(s).BeginTx(forever, pgx.TxOptions{IsoLevel: level})
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, statement); err == nil { // it may have waited for its lock until the end
			<-ctx.Done()
		}
		return tx.Rollback(forever)
	}
}

// takeConnections asks both servers for connections until they have none left, and again as they become free.
func takeConnections(ctx context.Context, s *system, random *rand.Rand) error {
	var taken []*pgx.Conn
	for ctx.Err() == nil {
		for _, url := range []string{s.OrdersURL(), s.PaymentsURL()} {
			conn, err := pgx.Connect(ctx, url)
			for err == nil {
				taken = append(taken, conn)
				conn, err = pgx.Connect(ctx, url)
			}
		}
		wait.For(ctx, span(random, 50*time.Millisecond, 200*time.Millisecond))
	}
	var err error
	for _, conn := range taken {
		err = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return err
}

func fillDisks(ctx context.Context, s *system, _ *rand.Rand) error {
	for _, d := range s.disks {
		if err := d.fill(); err != nil {
			return err
		}
	}
	<-ctx.Done()
	for _, d := range s.disks {
		if err := d.free(); err != nil {
			return err
		}
	}
	// A server that found no room for its log has ended, and waits to be started.
	return s.back(ctx, s.Orders, s.Payments)
}
