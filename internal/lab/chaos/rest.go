package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/rules"
)

// What the daemons may keep when nothing is left to do, beyond what they began with: the connections of a pool, and
// those of each other. Whatever is lost with each order or fault would be far more after a run.
const (
	mostConns      = pg.DefaultMaxConns + pg.DefaultMaxConns/2 + 2 // writes, reads, readiness and LISTEN
	moreGoroutines = 24
	moreFiles      = mostConns + 16
)

// What the outbox may keep.
const (
	mostHeap = 64 << 20 // bytes
	mostDead = 50_000   // tuples
)

// How long what is over may take to be given back: the longest call, and autovacuum's turns.
const (
	giveBack   = 20 * time.Second
	vacuumTime = 10 * time.Minute
)

// checkRest checks that a system with nothing left to do is at rest.
func (r *run) checkRest(ctx context.Context) error {
	for _, check := range []struct {
		within time.Duration
		find   func(context.Context) ([]Violation, error)
	}{
		{giveBack, r.wrongBacklogs},
		{giveBack, r.wrongGauges},
		{giveBack, r.crowds},
		{giveBack, r.hoards},
		{vacuumTime, r.bloat},
	} {
		if err := r.eventuallyNone(ctx, check.within, check.find); err != nil {
			return err
		}
	}
	if err := r.checkCounts(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// eventuallyNone asks again and again until nothing is found, or the time is over: then it notes what is.
func (r *run) eventuallyNone(
	ctx context.Context, within time.Duration, find func(context.Context) ([]Violation, error),
) error {
	var found []Violation
	var err error
	gone := r.await(ctx, time.Now().Add(within), func(ctx context.Context) bool {
		now, failed := find(ctx)
		if failed != nil && ctx.Err() != nil {
			return false // the time is over: what was found before counts
		}
		found, err = now, failed
		return err == nil && len(found) == 0
	})
	if !gone {
		r.violated(found...)
	}
	return err
}

// wrongBacklogs holds what the relays say against the table.
func (r *run) wrongBacklogs(ctx context.Context) (wrong []Violation, err error) {
	var want int64
	if err := r.orders.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&want); err != nil {
		return nil, err
	}
	for _, p := range r.system.Relays {
		conn, err := r.system.Dial(p, "operator")
		if err != nil {
			return nil, err
		}
		b, err := relayv1.NewOutboxServiceClient(conn).GetBacklog(ctx, &relayv1.GetBacklogRequest{})
		conn.Close()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its backlog: %w", p.Name, err)
		}
		if got := b.GetDue() + b.GetWaiting() + b.GetParked(); got != want {
			wrong = append(wrong, Violation{
				rules.I22, fmt.Sprintf("%s tells of %d commands, and %d are in the outbox", p.Name, got, want),
			})
		}
	}
	return wrong, nil
}

// crowds finds daemons with more connections to their databases than their pools and their ears have.
func (r *run) crowds(ctx context.Context) (crowds []Violation, err error) {
	running := map[string]int{"orderd": 1, "paymentd": 1, "relay": len(r.system.Relays)}
	for _, pool := range []*pgxpool.Pool{r.orders, r.payments} {
		rows, _ := pool.Query(ctx, `
			SELECT split_part(application_name, ' ', 1), count(*)
			FROM pg_stat_activity
			GROUP BY 1`) // ForEachRow returns the error
		var name string
		var n int
		_, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error {
			if most := running[name] * mostConns; running[name] > 0 && n > most {
				crowds = append(crowds, Violation{
					rules.I23, fmt.Sprintf("%s has %d connections to its database, want %d at most", name, n, most),
				})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return crowds, nil
}

// hoards finds daemons that hold more than when they began.
func (r *run) hoards(ctx context.Context) (hoards []Violation, err error) {
	for _, p := range r.Daemons() {
		now, err := holdingsOf(ctx, p)
		if err != nil {
			return nil, err
		}
		fresh := r.fresh[p]
		if now.exceeds(fresh) {
			detail := fmt.Sprintf("%s has %.0f goroutines and %.0f open files, and began with %.0f and %.0f",
				p.Name, now.goroutines, now.files, fresh.goroutines, fresh.files)
			hoards = append(hoards, Violation{rules.I23, detail})
		}
	}
	return hoards, nil
}

// bloat finds an outbox that stays large although it is empty. Autovacuum must have taken the dead tuples away. It
// gives the room back only if nobody reads the table at that moment, and has no reason to come again while nothing
// happens, so that it is asked to: room that it then cannot give back is held by something.
func (r *run) bloat(ctx context.Context) ([]Violation, error) {
	var heap, dead int64
	read := func() error {
		return r.orders.QueryRow(ctx, `
			SELECT pg_relation_size(relid), n_dead_tup
			FROM pg_stat_user_tables
			WHERE relname = 'outbox'`).Scan(&heap, &dead)
	}
	err := read()
	if err == nil && dead <= mostDead && heap > mostHeap {
		_, err = r.orders.Exec(ctx, `VACUUM outbox`)
		err = errors.Join(err, read())
	}
	if err != nil || heap <= mostHeap && dead <= mostDead {
		return nil, err
	}
	detail := fmt.Sprintf("the outbox has %d bytes and %d dead tuples, want %d and %d at most",
		heap, dead, mostHeap, mostDead)
	return []Violation{{rules.I20, detail}}, nil
}

// holdings are what a process holds.
type holdings struct{ goroutines, files float64 }

func (h holdings) exceeds(fresh holdings) bool {
	return h.goroutines > fresh.goroutines+moreGoroutines || h.files > fresh.files+moreFiles
}

// holdingsOf reads them from a daemon's /metrics.
func holdingsOf(ctx context.Context, p *stack.Process) (h holdings, err error) {
	err = metrics(ctx, p, func(name string, value float64) {
		switch name {
		case "go_goroutines":
			h.goroutines = value
		case "process_open_fds": // not everywhere
			h.files = value
		}
	})
	return h, err
}
