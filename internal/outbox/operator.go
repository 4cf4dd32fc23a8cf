package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// State is where a message is in its life.
type State uint8

// The states.
const (
	Absent  State = iota // it is not in the outbox
	Due                  // it may be claimed, since its lease is over if it has one
	Leased               // a worker holds it
	Waiting              // it is not due yet
	Parked               // an operator must retry it
)

// MakeDue makes a message due that waits for its time, and returns the state that it was in: only a Waiting one
// changes. One that a worker holds is left with it, since the worker may be delivering it; one that is due keeps its
// place among the others; one that is parked waits for an operator, who has Retry. It locks the message until the end
// of the transaction, so that what it returns stays true for as long, but for the passing of time. The table must allow
// one message of a kind and key.
func (t Table) MakeDue(ctx context.Context, tx pgx.Tx, key, kind string) (State, error) {
	return t.makeDue(ctx, tx, key, kind, `ready_at = clock_timestamp()`, Waiting)
}

// Retry is MakeDue on the word of an operator: a Parked message changes, too.
func (t Table) Retry(ctx context.Context, tx pgx.Tx, key, kind string) (State, error) {
	return t.makeDue(ctx, tx, key, kind, `ready_at = clock_timestamp(), parked_at = NULL`, Waiting, Parked)
}

// makeDue sets no column that its caller does not need: who repairs has the right to change ready_at alone.
func (t Table) makeDue(ctx context.Context, tx pgx.Tx, key, kind, set string, changes ...State) (State, error) {
	state, err := t.lock(ctx, tx, key, kind)
	if err == nil && slices.Contains(changes, state) {
		_, err = tx.Exec(ctx, t.sql(`UPDATE {table} SET `+set+` WHERE key = $1 AND kind = $2`), key, kind)
	}
	if err != nil {
		return Absent, fmt.Errorf("make the %s of %s due: %w", kind, key, err)
	}
	return state, nil
}

// lock waits for whoever is changing the message, and returns the state in which they left it.
func (t Table) lock(ctx context.Context, tx pgx.Tx, key, kind string) (State, error) {
	var parked, due, leased bool
	err := tx.QueryRow(ctx, t.sql(`
		SELECT parked_at IS NOT NULL, `+dueAt+` <= clock_timestamp(), lease_token IS NOT NULL
		FROM {table}
		WHERE key = $1 AND kind = $2
		FOR UPDATE`), key, kind).Scan(&parked, &due, &leased)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Absent, nil
	case err != nil:
		return Absent, err
	case parked:
		return Parked, nil
	case due:
		return Due, nil
	case leased:
		return Leased, nil
	}
	return Waiting, nil
}

// Backlog is how much the outbox holds of a kind. A message counts as exactly one of due, waiting and parked.
type Backlog struct {
	Kind      string
	Due       int64 // may be claimed now
	Waiting   int64 // is held by a worker, or waits for its next attempt
	Parked    int64
	OldestAge time.Duration // since the oldest message was appended; 0 where the clock was set back since
	HandedAge time.Duration // the same of those that were handed over and are not parked; 0: there are none
}

// Backlog counts, at one moment, the messages of each kind that there are any of.
func (t Table) Backlog(ctx context.Context, pool *pgxpool.Pool) ([]Backlog, error) {
	rows, err := pg.QueryWhole(ctx, pool, t.sql(`
		SELECT kind,
			count(*) FILTER (WHERE parked_at IS NULL AND `+dueAt+` <= at.now) AS due,
			count(*) FILTER (WHERE parked_at IS NULL AND `+dueAt+` > at.now) AS waiting,
			count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
			greatest(max(at.now - created_at), '0') AS oldest_age,
			greatest(max(at.now - created_at) FILTER (WHERE parked_at IS NULL AND sends > 0), '0') AS handed_age
		FROM {table}, (SELECT clock_timestamp() AS now) AS at
		GROUP BY kind
		ORDER BY kind`))
	if err != nil {
		return nil, fmt.Errorf("count the backlog: %w", err)
	}
	backlogs, err := pgx.CollectRows(rows, pgx.RowToStructByName[Backlog])
	if err != nil {
		return nil, fmt.Errorf("count the backlog: %w", err)
	}
	return backlogs, nil
}
