package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Waiting is a message that needs a person.
type Waiting struct {
	ID        int64
	Key       string
	Kind      string
	Attempts  int
	LastCode  *string
	CreatedAt time.Time
	ParkedAt  *time.Time // nil: it is not parked and keeps trying
	ExpiresAt *time.Time
}

// Parked answers the messages that are parked, and those that keep trying although their last delivery came to one of
// the codes: the oldest first, from after the id on, limit at most.
func (q *Queue) Parked(ctx context.Context, codes []string, after int64, limit int) ([]Waiting, error) {
	rows, err := q.pool.Query(ctx, `
		SELECT id, key, kind, attempts, last_code, created_at, parked_at, expires_at
		FROM outbox
		WHERE (parked_at IS NOT NULL OR last_code = ANY($1)) AND id > $2
		ORDER BY id
		LIMIT $3`, codes, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked messages: %w", err)
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowToStructByName[Waiting])
	if err != nil {
		return nil, fmt.Errorf("list parked messages: %w", err)
	}
	return waiting, nil
}

// Retry makes a message due at once, parked or not, and reports whether there is such a message. One that a worker
// holds is left with it.
func (q *Queue) Retry(ctx context.Context, key, kind string) (bool, error) {
	var found bool
	err := q.pool.QueryRow(ctx, `
		WITH retried AS (
			UPDATE outbox
			SET parked_at = NULL, ready_at = clock_timestamp()
			WHERE key = $1 AND kind = $2 AND lease_token IS NULL
		)
		SELECT EXISTS (SELECT FROM outbox WHERE key = $1 AND kind = $2)`, key, kind).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("retry the %s of %s: %w", kind, key, err)
	}
	return found, nil
}

// Backlog is how much the outbox holds. A message counts as exactly one of due, waiting and parked.
type Backlog struct {
	Due       int64 // may be claimed now
	Waiting   int64 // is held by a worker, or waits for its next attempt
	Parked    int64
	OldestAge *time.Duration // since the oldest message was appended; nil when there is none
}

// Backlog counts.
func (q *Queue) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var oldest *float64
	err := q.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE parked_at IS NULL AND ready_at <= at.now),
			count(*) FILTER (WHERE parked_at IS NULL AND ready_at > at.now),
			count(*) FILTER (WHERE parked_at IS NOT NULL),
			extract(epoch FROM max(at.now - created_at))::float8
		FROM outbox, (SELECT clock_timestamp() AS now) AS at`).Scan(&b.Due, &b.Waiting, &b.Parked, &oldest)
	if err != nil {
		return Backlog{}, fmt.Errorf("count the backlog: %w", err)
	}
	if oldest != nil {
		age := time.Duration(*oldest * float64(time.Second))
		b.OldestAge = &age
	}
	return b, nil
}
