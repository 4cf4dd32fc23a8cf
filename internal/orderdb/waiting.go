package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// Waiting is a command in the outbox, as an operator looks at it.
type Waiting struct {
	ID        int64
	OrderID   string
	Kind      order.Command
	Attempts  int     // deliveries that were ambiguous
	Claims    int     // how often a relay took it up
	LastCode  *string `db:"code"` // what the last delivery came to; nil before the first
	TraceID   *string
	CreatedAt time.Time  `db:"appended"`
	ReadyAt   time.Time  `db:"due"` // when it may be claimed next; the end of its lease when it is Leased
	ParkedAt  *time.Time `db:"parked"`
	ExpiresAt *time.Time `db:"expires"`
	Leased    bool       // a relay is at it

	// Of its order; nil when there is none.
	Status *order.Status
	Age    *time.Duration
	Late   *time.Duration
}

// Why returns why the command needs a person; order.Standing defines it.
func (w Waiting) Why(stuckAfter time.Duration) order.Why {
	s := order.Standing{Command: w.Kind, Parked: w.ParkedAt != nil, Attempts: w.Attempts, Claims: w.Claims}
	if w.LastCode != nil {
		s.LastCode = *w.LastCode
	}
	if w.Status != nil {
		s.Status, s.Age, s.Late = *w.Status, *w.Age, *w.Late
	}
	return s.Why(stuckAfter)
}

// OFFSET 0 keeps the lookup of the order a lookup, whatever the statistics say of an outbox that is mostly empty.
var waiting = `
	SELECT c.id, c.key::text AS order_id, c.kind, c.attempts, c.claims, c.code, ` + traceID + ` AS trace_id,
		c.appended, c.due, c.parked, c.expires, c.leased AND c.due > clock_timestamp() AS leased, status, age, late
	FROM ` + Outbox.View() + ` AS c
	LEFT JOIN LATERAL (
		SELECT status, updated_at, greatest(clock_timestamp() - updated_at, '0') AS age,
			 clock_timestamp() - deadline_at AS late
		FROM orders
		WHERE orders.id = c.key
		OFFSET 0
	) AS o ON true`

func collectWaiting(rows pgx.Rows, err error) ([]Waiting, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Waiting])
}

// Stuck returns the commands that need a person, the oldest first, from after the id on, limit at most: those whose
// Why is not order.NeedsNoPerson.
func (s *Store) Stuck(ctx context.Context, stuckAfter time.Duration, after int64, limit int) ([]Waiting, error) {
	var found []Waiting
	for len(found) < limit {
		window, err := s.suspects(ctx, stuckAfter, after, limit)
		if err != nil {
			return nil, fmt.Errorf("list commands that need a person: %w", err)
		}
		for _, w := range window {
			if w.Why(stuckAfter) != order.NeedsNoPerson {
				found = append(found, w)
			}
		}
		if len(window) < limit {
			return found, nil
		}
		after = window[len(window)-1].ID
	}
	return found[:limit], nil
}

// suspects returns, by id, every command that may need a person, and few others, so that a healthy backlog stays where
// it is.
func (s *Store) suspects(ctx context.Context, stuckAfter time.Duration, after int64, limit int) ([]Waiting, error) {
	return collectWaiting(pg.Query(ctx, s.reads, waiting+`
		WHERE c.id > $1
			AND (c.parked IS NOT NULL OR c.code = ANY($2) OR c.claims >= $3
				OR status IS NULL OR status IN ('COMPLETED', 'CANCELLED')
				OR c.kind = 'VOID' AND status = 'PENDING'
				OR updated_at < (SELECT clock_timestamp()) - $4::interval)
		ORDER BY c.id
		LIMIT $5`, after, order.ConflictCodes, order.TooManyClaims, stuckAfter, limit))
}
