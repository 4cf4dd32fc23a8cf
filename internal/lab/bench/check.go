package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hosho/internal/lab/invariant"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// prove checks, when nothing is under way any more, that nothing was lost on the way. Then it stops the daemons, whose
// sessions tell at their end how many rows they wrote.
func (s *system) prove(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.tell("checking the invariants over both databases")
	report, err := invariant.Check(ctx, s.orders, s.payments, invariant.Options{Quiet: true})
	if err != nil {
		return err
	}
	for _, v := range report.Violations {
		s.broke("%s", v)
	}
	for _, n := range report.Orders {
		s.result.Orders += n
	}
	if placed := s.placed.Load(); s.result.Orders < placed {
		s.broke("%d orders were acknowledged, and there are %d", placed, s.result.Orders)
	}
	if settled := s.settled.Load(); report.Orders["COMPLETED"]+report.Orders["CANCELLED"] < settled {
		s.broke("%d orders were said to be settled, and %s", settled, invariant.Line(report.Orders))
	}
	for _, p := range s.Daemons() {
		if s.config.Scenario != "relays" && !isRunning(p) {
			s.broke("%s has ended by itself", p.Name)
		}
	}
	s.result.Broken = append(s.result.Broken, s.broken...)
	return s.countVersions(ctx)
}

// countVersions works out how many versions of rows each order cost.
func (s *system) countVersions(ctx context.Context) error {
	if s.result.Orders == 0 || s.manyRows() {
		return nil
	}
	var err error
	for _, p := range s.Daemons() {
		err = errors.Join(err, p.Stop())
	}
	if err != nil {
		return err
	}
	if err := s.awaitGone(ctx); err != nil {
		return err
	}
	now, err := s.rowVersions(ctx)
	if err != nil {
		return err
	}
	s.result.RowVersions = map[string]float64{}
	for table, n := range now {
		s.result.RowVersions[table] = float64(n-s.rows0[table]) / float64(s.result.Orders)
	}
	return nil
}

// manyRows reports whether others than the callers wrote orders: then nothing can be said of each.
func (s *system) manyRows() bool {
	switch s.config.Scenario {
	case "rows", "backlog", "watchers":
		return true
	}
	return false
}

// awaitGone waits until the servers have noticed the end of the daemons' sessions.
func (s *system) awaitGone(ctx context.Context) error {
	const poll = 10 * time.Millisecond
	for _, pool := range s.databases() {
		for left, began := 1, time.Now(); left > 0; {
			err := pool.QueryRow(ctx, `
				SELECT count(*)
				FROM pg_stat_activity
				WHERE usename = ANY ($1) AND datname = current_database()`, stack.Logins()).Scan(&left)
			if err != nil {
				return err
			}
			if left > 0 && (!wait.For(ctx, poll) || time.Since(began) > endTime) {
				return fmt.Errorf("%d sessions are left: %w", left, errors.Join(ctx.Err(), errors.New("want none")))
			}
		}
	}
	return nil
}
