package orderdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// Explanation is what the orders database keeps about the delivery of an order's commands, at one moment.
type Explanation struct {
	Attempts []Attempt // the latest ones, the oldest of them first
	Earlier  int       // attempts that are left out
	Waiting  []Waiting // what the outbox still holds
	Decision *HandDecision
	Retries  []HandRetry    // the latest ones, the oldest of them first
	Changes  []StatusChange // the first of them first, without the order's beginning
}

// HandDecision is how an order was settled by hand.
type HandDecision struct {
	Operator string
	Reason   string
	At       time.Time
}

// HandRetry is how an operator had a command tried again.
type HandRetry struct {
	Kind     order.Command
	Operator string
	Reason   string
	At       time.Time
}

// Explain returns what became of an order's commands, with limit attempts at most. An order that does not exist is
// ErrNotFound.
func (s *Store) Explain(ctx context.Context, id string, limit int) (Explanation, error) {
	var e Explanation
	err := pg.Snapshot(ctx, s.reads, func(tx pgx.Tx) (err error) { // what is settled meanwhile is no half of it
		e, err = explain(ctx, tx, id, limit)
		return err
	})
	if err != nil {
		return Explanation{}, fmt.Errorf("explain order %s: %w", id, err)
	}
	return e, nil
}

func explain(ctx context.Context, tx pgx.Tx, id string, limit int) (e Explanation, err error) {
	o, err := collectOne(tx.Query(ctx, `SELECT `+orderColumns+` FROM orders WHERE id = $1`, id))
	if err != nil {
		return e, err
	}
	if e.Changes, err = changesOf(ctx, tx, o); err != nil {
		return e, err
	}
	if e.Attempts, err = attemptsOf(ctx, tx, id, limit); err != nil {
		return e, err
	}
	if len(e.Attempts) > 0 {
		e.Earlier = e.Attempts[0].Total - len(e.Attempts)
	}
	e.Waiting, err = collectWaiting(tx.Query(ctx, waiting+` WHERE c.key = $1 ORDER BY c.id`, id))
	if err != nil {
		return e, err
	}
	if e.Decision, err = decisionAbout(ctx, tx, id); err != nil {
		return e, err
	}
	e.Retries, err = retriesOf(ctx, tx, id)
	return e, err
}

// mostRetries bounds how many retries by hand are told.
const mostRetries = 100

func retriesOf(ctx context.Context, tx pgx.Tx, id string) ([]HandRetry, error) {
	rows, err := tx.Query(ctx, `
		SELECT kind, operator, reason, at
		FROM (
			SELECT id, kind, operator, reason, at
			FROM audit
			WHERE order_id = $1 AND action = 'RETRY'
			ORDER BY id DESC
			LIMIT $2
		) AS latest
		ORDER BY id`, id, mostRetries)
	if err != nil {
		return nil, fmt.Errorf("read retries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[HandRetry])
}

// decisionAbout returns nil when the order was not settled by hand.
func decisionAbout(ctx context.Context, tx pgx.Tx, id string) (*HandDecision, error) {
	rows, err := tx.Query(ctx, `SELECT operator, reason, at FROM audit WHERE order_id = $1 AND action = 'SETTLE'`, id)
	if err != nil {
		return nil, err
	}
	decision, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[HandDecision])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return decision, err
}
