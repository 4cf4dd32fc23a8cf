package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
)

// PaymentsDatabase is what the orders know of the payments database that they are paid in.
type PaymentsDatabase struct {
	Trusted *string   // its identity; nil: none is trusted yet
	Clock   time.Time // of the orders database, to be held against the other's
}

// Trust returns which payments database is trusted. The first that is told becomes it; an empty identity tells none.
func (s *Store) Trust(ctx context.Context, told string) (PaymentsDatabase, error) {
	found, err := s.trusted(ctx)
	if err != nil || found.Trusted != nil || told == "" {
		return found, err
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO payments_database (id) VALUES ($1) ON CONFLICT DO NOTHING`, told)
		return err
	})
	if err != nil {
		return PaymentsDatabase{}, fmt.Errorf("trust payments database %s: %w", told, err)
	}
	return s.trusted(ctx) // another relay may have been first, with another one
}

func (s *Store) trusted(ctx context.Context) (PaymentsDatabase, error) {
	rows, err := pg.Query(ctx, s.pool, `
		SELECT (SELECT id::text FROM payments_database) AS trusted, clock_timestamp() AS clock`)
	if err != nil {
		return PaymentsDatabase{}, fmt.Errorf("read which payments database is trusted: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[PaymentsDatabase])
	if err != nil {
		return PaymentsDatabase{}, fmt.Errorf("read which payments database is trusted: %w", err)
	}
	return found, nil
}

// Acceptance is an operator's decision to trust another payments database.
type Acceptance struct {
	ID       string // of the payments database
	Operator string
	Reason   string
}

// AcceptPayments has the orders trust another payments database, and writes down who decided and why, in one
// transaction. It returns which one was trusted before, nil when none was, and false when it is the one already.
func (s *Store) AcceptPayments(ctx context.Context, a Acceptance) (from *string, changed bool, err error) {
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		from, changed, err = acceptPayments(ctx, tx, a)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("accept payments database %s: %w", a.ID, err)
	}
	return from, changed, nil
}

func acceptPayments(ctx context.Context, tx pgx.Tx, a Acceptance) (from *string, changed bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO payments_database (id) VALUES ($1) ON CONFLICT DO NOTHING`, a.ID)
	if err != nil {
		return nil, false, err
	}
	if tag.RowsAffected() == 0 { // one is trusted; of two who accept at once the second waits here
		err = tx.QueryRow(ctx, `SELECT id::text FROM payments_database FOR UPDATE`).Scan(&from)
		if err != nil || *from == a.ID {
			return nil, false, err
		}
		_, err = tx.Exec(ctx, `UPDATE payments_database SET id = $1, since = clock_timestamp()`, a.ID)
		if err != nil {
			return nil, false, err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO payments_database_audit (from_id, to_id, operator, reason) VALUES ($1, $2, $3, $4)`,
		from, a.ID, a.Operator, a.Reason)
	return from, err == nil, err
}
