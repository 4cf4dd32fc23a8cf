package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/lab/middleman"
)

// Faults that are here for the alerts that they raise. The mix has what is like them, by chance and for shorter.
var watchedFaults = []fault{
	{
		name: "internal", says: "paymentd answers nothing but INTERNAL", targets: []string{peer},
		special: "only-codes has it among others: orders are given up for it",
		lasts:   between(10*time.Second, 20*time.Second),
		run:     playing(middleman.Behaviour{Trick: middleman.Fail, Share: 1}),
	},
	{
		name: "rotten-outbox", says: "a snapshot is held, and a hundred thousand dead rows are in the outbox",
		targets: []string{ordersDB}, special: "the mix has the snapshot, and orders leave dead rows",
		lasts: between(20*time.Second, 30*time.Second), run: rot,
	},
	{
		name: "no-reconcile", says: "nobody compares the databases", targets: []string{comparing},
		special: "it takes --alerts", watched: true,
		lasts: between(15*time.Second, 30*time.Second), run: stopComparing,
	},
}

// deadRows is how many make the outbox rotten.
const deadRows = 105_000

// rot holds a snapshot, so that no row of the outbox can be vacuumed, and leaves many dead ones behind, of which nobody
// has seen anything.
func rot(ctx context.Context, s *system, _ *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	held, err := s.orders.BeginTx(forever, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	if _, err = held.Exec(forever, `SELECT FROM outbox LIMIT 1`); err == nil {
		err = s.leaveDead(forever)
	}
	if err == nil {
		<-ctx.Done()
	}
	err = errors.Join(err, held.Rollback(forever))
	if err != nil {
		return err
	}
	_, err = s.orders.Exec(forever, `VACUUM outbox`)
	return err
}

// leaveDead writes rows of the outbox and takes them away, in one transaction. Its session tells of that at once: one
// that is idle would later.
func (s *system) leaveDead(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.orders, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO outbox (key, kind, payload, expires_at)
			SELECT gen_random_uuid(), 'CHARGE', '\x00', 'infinity'
			FROM generate_series(1, $1)`, deadRows)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `DELETE FROM outbox WHERE expires_at = 'infinity'`); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_stat_force_next_flush()`)
		return err
	})
}
