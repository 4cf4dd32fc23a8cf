package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/invariant"
	"hosho/internal/rules"
)

// checkInterval is how often the invariants that always hold are checked while the system runs.
const checkInterval = 20 * time.Second

// checkShare keeps the time for checks small: they take longer, and are made less often, as orders become many.
const checkShare = 10

// drain waits until every order is settled. What is not in time, the proof finds.
func (r *run) drain(ctx context.Context) error {
	r.await(ctx, time.Now().Add(r.Pace.Drain), func(ctx context.Context) bool {
		var open bool
		err := r.orders.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM outbox)
				OR EXISTS (SELECT FROM orders WHERE status IN ('PENDING', 'CANCELLING'))`).Scan(&open)
		return err == nil && !open
	})
	return ctx.Err()
}

// prove checks everything, when nothing is under way any more.
func (r *run) prove(ctx context.Context) (Report, error) {
	if err := r.checkDaemons(); err != nil {
		return Report{}, err
	}
	if err := r.check(ctx, true); err != nil {
		return Report{}, err
	}
	if err := r.checkClients(ctx); err != nil {
		return Report{}, err
	}
	for _, pool := range []*pgxpool.Pool{r.orders, r.payments} {
		if err := r.checkIndexes(ctx, pool); err != nil {
			return Report{}, err
		}
	}
	if err := r.checkRest(ctx); err != nil {
		return Report{}, err
	}
	return r.summary(ctx)
}

// summary says what the run did and found.
func (r *run) summary(ctx context.Context) (Report, error) {
	fired, err := r.fired(ctx)
	if err != nil {
		return Report{}, err
	}
	amplification, err := r.amplification(ctx)
	_, all := spreads(r.recoveries[""])
	return Report{
		Seed: r.Seed, Elapsed: time.Since(r.began), Episodes: r.episodesPlayed, Orders: r.accepted(),
		Kills: r.kills.Load(), Crashes: r.crashes.Load(), Deaths: r.deaths(), Statuses: r.statuses, Payments: r.paid,
		Lost: r.lost, Found: r.found, Faults: r.injured(r.plan.faults), Recovery: all, Amplification: amplification,
		Slowest: r.clients.Slowest(), Alerts: fired,
	}, err
}

// checkClients holds what the clients were told against what is there.
func (r *run) checkClients(ctx context.Context) error {
	wrong, err := r.clients.Check(ctx, r.orders)
	for _, w := range wrong {
		r.violated(Violation{w.Rule, w.Detail})
		if w.Lost {
			r.lost++
		}
	}
	return err
}

// check holds both databases against the invariants, and takes in what the logs and the clients have shown.
func (r *run) check(ctx context.Context, quiet bool) error {
	report, err := invariant.Check(ctx, r.orders, r.payments, invariant.Options{
		Quiet: quiet, Simulated: true, MaxAttempts: r.Pace.MaxAttempts, LongestWait: r.Pace.longestWait(),
		Sends: r.overBroker(),
	})
	if err != nil {
		return err
	}
	for _, v := range report.Violations {
		r.violated(Violation{v.Rule, fmt.Sprintf("%s: %s (%s)", v.What, v.ID, v.Detail)})
	}
	r.violated(r.logs.violations()...)
	for _, w := range r.clients.Wrong() {
		r.violated(Violation{w.Rule, w.Detail})
	}
	r.statuses, r.paid = report.Orders, report.Payments
	return nil
}

// checkDaemons finds daemons that have ended by themselves.
func (r *run) checkDaemons() error {
	names, err := r.fallen()
	for _, name := range names {
		r.violated(Violation{rules.Stopped, name + " has ended by itself"})
	}
	return err
}

// checkIndexes asks amcheck about every index. A server without the extension is not asked.
func (r *run) checkIndexes(ctx context.Context, pool *pgxpool.Pool) error {
	var offered bool
	err := pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')`).Scan(&offered)
	if err != nil || !offered {
		return err
	}
	if _, err := pool.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS amcheck`); err != nil {
		return err
	}
	rows, _ := pool.Query(ctx, `
		SELECT c.oid::regclass::text
		FROM pg_class AS c JOIN pg_am ON pg_am.oid = c.relam
		WHERE pg_am.amname = 'btree' AND c.relkind = 'i'
			AND c.relnamespace = 'public'::regnamespace`) // CollectRows returns the error
	indexes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := pool.Exec(ctx, `SELECT bt_index_check($1::regclass, true)`, index); err != nil {
			r.violated(Violation{rules.I19, index + ": " + err.Error()})
		}
	}
	return nil
}

// amplification returns how many charges were sent for each ordinary order that was paid.
func (r *run) amplification(ctx context.Context) (float64, error) {
	rows, _ := r.orders.Query(ctx, `
		SELECT id::text
		FROM orders
		WHERE status = 'COMPLETED' AND amount_minor <> 9998`) // ForEachRow returns the error
	sent, needed := 0, 0
	var id string
	_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		sent += r.logs.sentFor(id)
		needed++
		return nil
	})
	if err != nil || needed == 0 {
		return 0, err
	}
	return float64(sent) / float64(needed), nil
}
