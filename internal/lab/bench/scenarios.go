package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// keep notes a load.
func (s *system) keep(l Load) { s.result.Loads = append(s.result.Loads, l) }

// about makes a load the one that the result is about.
func (s *system) about(l Load) {
	s.result.Load = l
	if len(s.result.Pgbench) > 0 {
		s.result.relate()
	}
}

// beside compares a rate with the mean of others, which were measured before, and after where a machine may have become
// another one meanwhile.
func (s *system) beside(what string, l Load, others ...Load) {
	c := Share{What: what}
	sum := 0.0
	for _, o := range others {
		c.Beside = append(c.Beside, o.SagasPerSecond)
		sum += o.SagasPerSecond
	}
	if sum > 0 {
		c.Share = l.SagasPerSecond / (sum / float64(len(others)))
	}
	s.result.Shares = append(s.result.Shares, c)
	s.tell(c.String())
}

// String tells a comparison.
func (c Share) String() string {
	rates := make([]string, len(c.Beside))
	for i, r := range c.Beside {
		rates[i] = fmt.Sprintf("%.0f/s", r)
	}
	which := "the rate before"
	if len(rates) > 1 {
		which = "the mean of the rates before and after"
	}
	return fmt.Sprintf("%s: %.1f %% of %s: %s", c.What, 100*c.Share, which, strings.Join(rates, ", "))
}

// plain measures one load, and where it is asked for how it changes with the clients and with what is offered.
func (s *system) plain(ctx context.Context) error {
	measure := s.full
	if s.config.Mode == HTTP {
		measure = s.throughTheDoor
	}
	l, err := measure(ctx)
	if err != nil || ctx.Err() != nil || !s.config.Sweep {
		return err
	}
	return s.sweep(ctx, l)
}

// full measures the load as Config has it.
func (s *system) full(ctx context.Context) (Load, error) {
	l, err := s.load(ctx, s.spec("load"))
	s.about(l)
	return l, err
}

// sweep measures the load with fewer clients, and a part of its rate.
func (s *system) sweep(ctx context.Context, full Load) error {
	for clients := 1; clients < s.config.Clients; clients *= 4 {
		p := s.spec(fmt.Sprintf("%d clients", clients))
		p.clients, p.rate = clients, 0
		l, err := s.load(ctx, p)
		s.result.byClients = append(s.result.byClients, l)
		s.keep(l)
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
	if s.config.Rate == 0 {
		s.result.byClients = append(s.result.byClients, full)
	}
	peak := full.SagasPerSecond
	for _, share := range []float64{0.1, 0.25, 0.5, 0.75, 0.9, 1} {
		p := s.spec(fmt.Sprintf("%.0f %% of the peak", 100*share))
		if p.rate = share * peak; p.rate < 1 {
			continue
		}
		l, err := s.load(ctx, p)
		s.result.byRate = append(s.result.byRate, l)
		s.keep(l)
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// snapshot measures the load beside a transaction that keeps every row that was there when it began. Without one it is
// measured before and after, when what is dead has been vacuumed.
func (s *system) snapshot(ctx context.Context) error {
	without := func(name string) (Load, error) {
		p := s.spec(name)
		p.duration = min(p.duration, usual)
		l, err := s.load(ctx, p)
		s.keep(l)
		return l, err
	}
	before, err := without("without a snapshot")
	if err != nil || ctx.Err() != nil {
		return err
	}
	l, err := s.holding(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	for _, table := range []string{"outbox", "orders"} {
		s.tell("vacuuming " + table)
		if _, err := s.orders.Exec(ctx, `VACUUM `+table); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	after, err := without("without it again")
	if err != nil || ctx.Err() != nil {
		return err
	}
	s.beside("with a snapshot held", l, before, after)
	return nil
}

// holding measures the load while a snapshot is held.
func (s *system) holding(ctx context.Context) (l Load, err error) {
	held, err := s.orders.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return l, err
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(ctx)) }() // it has nothing to lose
	if _, err := held.Exec(ctx, `SELECT count(*) FROM outbox`); err != nil {
		return l, err
	}
	l, err = s.load(ctx, s.spec("a snapshot is held"))
	s.keep(l)
	s.about(l)
	return l, err
}

// rows measures the load on empty tables, and on tables that have millions of settled orders.
func (s *system) rows(ctx context.Context) error {
	first, err := s.load(ctx, s.spec("empty tables"))
	s.keep(first)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if err := s.fill(ctx, s.config.Rows); err != nil || ctx.Err() != nil {
		return ignoreEnd(ctx, err)
	}
	l, err := s.load(ctx, s.spec(fmt.Sprintf("%d settled orders", s.config.Rows)))
	s.keep(l)
	s.about(l)
	s.beside(fmt.Sprintf("with %d settled orders", s.config.Rows), l, first)
	if err != nil || ctx.Err() != nil || s.config.TLS {
		return err
	}
	return ignoreEnd(ctx, s.firstPage(ctx))
}

// relays measures the load with more and more relays. They all ran before, so that each begins when it is needed.
func (s *system) relays(ctx context.Context) error {
	for _, relay := range s.Relays {
		if err := relay.Stop(); err != nil {
			return err
		}
	}
	var first Load
	running := 0
	for _, n := range []int{1, 2, 4, mostRelays} {
		for ; running < n; running++ {
			if err := s.Relays[running].Start(); err != nil {
				return err
			}
			if err := s.Relays[running].WaitReady(ctx); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
		p := s.spec(fmt.Sprintf("%d relays", n))
		p.relays = n
		l, err := s.load(ctx, p)
		s.keep(l)
		s.about(l)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if n == 1 {
			first = l
			continue
		}
		s.beside(p.name, l, first)
	}
	return nil
}

// Bloat is how large the tables are.
type Bloat struct {
	Second         float64 `json:"second"`
	OutboxBytes    int64   `json:"outbox_bytes"`       // the heap
	OutboxIndexes  int64   `json:"outbox_index_bytes"` //
	OutboxDead     int64   `json:"outbox_dead_rows"`   // as PostgreSQL counts them
	OrdersBytes    int64   `json:"orders_bytes"`       // with its indexes
	PaymentsBytes  int64   `json:"payments_bytes"`     // likewise, with the ledger
	SagasPerSecond float64 `json:"sagas_per_second"`   // since the minute before
}

// hour measures the load for long, and how large the tables are each minute, or sixty times in all.
func (s *system) hour(ctx context.Context) error {
	p := s.spec("an hour")
	p.every = min(p.duration/60, time.Minute)
	began, settled := time.Now(), s.settled.Load()
	last := began
	p.observe = func(ctx context.Context) error {
		now := time.Now()
		b, err := s.bloat(ctx)
		if err != nil {
			return err
		}
		b.Second = now.Sub(began).Seconds()
		n := s.settled.Load()
		b.SagasPerSecond = float64(n-settled) / now.Sub(last).Seconds()
		last, settled = now, n
		s.result.Minutes = append(s.result.Minutes, b)
		s.tell(fmt.Sprintf("%.0f s: %.0f sagas/s; outbox %d kB and %d kB of indexes, %d dead rows; orders %d MB",
			b.Second, b.SagasPerSecond, b.OutboxBytes>>10, b.OutboxIndexes>>10, b.OutboxDead, b.OrdersBytes>>20))
		return nil
	}
	l, err := s.load(ctx, p)
	s.about(l)
	return err
}

func (s *system) bloat(ctx context.Context) (b Bloat, err error) {
	err = s.orders.QueryRow(ctx, `
		SELECT pg_relation_size('outbox'), pg_indexes_size('outbox'), pg_total_relation_size('orders'),
			(SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox')`).
		Scan(&b.OutboxBytes, &b.OutboxIndexes, &b.OrdersBytes, &b.OutboxDead)
	if err != nil {
		return b, err
	}
	err = s.payments.QueryRow(ctx, `
		SELECT pg_total_relation_size('payments') + pg_total_relation_size('ledger')`).Scan(&b.PaymentsBytes)
	return b, err
}
