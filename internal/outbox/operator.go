package outbox

import (
	"context"
	"fmt"
	"time"
)

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
