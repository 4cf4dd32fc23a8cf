package chaos

import (
	"context"
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
		name: "rotten-outbox", says: "a snapshot is held while a hundred thousand orders come and go",
		targets: []string{ordersDB}, special: "it takes long",
		lasts: between(time.Minute, time.Minute), run: rot,
	},
	{
		name: "no-reconcile", says: "nobody compares the databases", targets: []string{comparing},
		special: "it takes --alerts", watched: true,
		lasts: between(15*time.Second, 30*time.Second), run: stopComparing,
	},
}

// rottenOrders is how many orders make the outbox rotten: each leaves a dead row.
const rottenOrders = 120_000

// rot holds a snapshot, so that no row of the outbox can be vacuumed, and has many come and go.
func rot(ctx context.Context, s *system, _ *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	tx, err := s.orders.BeginTx(forever, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	var seen int
	if err = tx.QueryRow(forever, `SELECT count(*) FROM outbox`).Scan(&seen); err == nil {
		err = s.placeMany(forever, rottenOrders)
	}
	if err == nil {
		<-ctx.Done()
	}
	if failed := tx.Rollback(forever); err == nil {
		err = failed
	}
	return err
}
