package paymentdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
)

// TrustOrders returns which orders database is trusted. The first that is told becomes it; an empty identity tells
// none.
func (s *Store) TrustOrders(ctx context.Context, told string) (Identity, error) {
	found, err := identityOver(ctx, s.pool)
	if err != nil || found.Orders != nil || told == "" {
		return found, err
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders_database (id) VALUES ($1) ON CONFLICT DO NOTHING`, told)
		return err
	})
	if err != nil {
		return Identity{}, fmt.Errorf("trust orders database %s: %w", told, err)
	}
	return identityOver(ctx, s.pool) // another paymentd may have been first, with another one
}

// Acceptance is an operator's decision to trust another orders database.
type Acceptance struct {
	ID       string // of the orders database
	Operator string
	Reason   string
}

// AcceptOrders has the payments trust another orders database, and writes down who decided and why, in one transaction.
// It returns which one was trusted before, nil when none was, and false when it is the one already.
func (s *Store) AcceptOrders(ctx context.Context, a Acceptance) (from *string, changed bool, err error) {
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		from, changed, err = acceptOrders(ctx, tx, a)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("accept orders database %s: %w", a.ID, err)
	}
	return from, changed, nil
}

func acceptOrders(ctx context.Context, tx pgx.Tx, a Acceptance) (from *string, changed bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO orders_database (id) VALUES ($1) ON CONFLICT DO NOTHING`, a.ID)
	if err != nil {
		return nil, false, err
	}
	if tag.RowsAffected() == 0 { // one is trusted; of two who accept at once the second waits here
		err = tx.QueryRow(ctx, `SELECT id::text FROM orders_database FOR UPDATE`).Scan(&from)
		if err != nil || *from == a.ID {
			return nil, false, err
		}
		_, err = tx.Exec(ctx, `UPDATE orders_database SET id = $1, since = clock_timestamp()`, a.ID)
		if err != nil {
			return nil, false, err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO orders_database_audit (from_id, to_id, operator, reason) VALUES ($1, $2, $3, $4)`,
		from, a.ID, a.Operator, a.Reason)
	return from, err == nil, err
}
