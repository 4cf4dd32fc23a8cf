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
	Sends     int     // how often one has handed it over to a broker
	LastCode  *string `db:"code"` // what the last delivery came to; nil before the first
	TraceID   *string
	CreatedAt time.Time  `db:"appended"`
	ReadyAt   time.Time  `db:"due"` // when it may be claimed next; the end of its lease when it is Leased
	ParkedAt  *time.Time `db:"parked"`
	ExpiresAt *time.Time `db:"expires"`
	Leased    bool       // a relay is at it
	Alone     bool       // it was claimed too often without an answer, and goes by itself

	// Of its order; nil when there is none.
	Status      *order.Status
	AmountMinor *int64
	Currency    *string
	Age         *time.Duration
	Late        *time.Duration
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

// waiting is a query of commands. waitingIn is one of those in a subquery, and of more of its columns.
var waiting = waitingIn(Outbox.Whole(), ``)

// OFFSET 0 keeps the lookup of the order a lookup, whatever the statistics say of an outbox that is mostly empty.
func waitingIn(commands, more string) string {
	return `
	SELECT c.id, c.key::text AS order_id, c.kind, c.attempts, c.claims, c.sends, c.code, ` + traceID + ` AS trace_id,
		c.appended, c.due, c.parked, c.expires, c.leased AND c.due > clock_timestamp() AS leased, c.alone,
		status, amount_minor, currency, age, late` + more + `
	FROM ` + commands + ` AS c
	LEFT JOIN LATERAL (
		SELECT status, amount_minor, currency, updated_at, greatest(clock_timestamp() - updated_at, '0') AS age,
			 clock_timestamp() - deadline_at AS late
		FROM orders
		WHERE orders.id = c.key
		OFFSET 0
	) AS o ON true`
}

func collectWaiting(rows pgx.Rows, err error) ([]Waiting, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Waiting])
}

// Stuck returns the commands that need a person, the oldest first, from after the id on, limit at most: those whose
// Why is not order.NeedsNoPerson. It looks at a bounded number of commands, and so may return fewer than there are, or
// none. rest is the id after which the list goes on, 0 when nothing follows.
func (s *Store) Stuck(
	ctx context.Context, stuckAfter time.Duration, after int64, limit int,
) (found []Waiting, rest int64, err error) {
	for seen := 0; ; {
		window, err := s.suspects(ctx, stuckAfter, after, limit+1, mostLooked-seen)
		if err != nil {
			return nil, 0, fmt.Errorf("list commands that need a person: %w", err)
		}
		for _, w := range window {
			if w.Why(stuckAfter) != order.NeedsNoPerson {
				found = append(found, w.Waiting)
			}
		}
		if n := len(window); n > 0 {
			seen, after = seen+window[n-1].Place, window[n-1].ID
		}
		switch {
		case len(found) > limit:
			return found[:limit], found[limit-1].ID, nil
		case seen >= mostLooked:
			return found, after, nil
		case len(window) <= limit:
			return found, 0, nil
		}
	}
}

// StuckBy counts the commands that need a person by why, among most of them, the oldest.
func (s *Store) StuckBy(ctx context.Context, stuckAfter time.Duration, most int) (map[order.Why]int, error) {
	found, err := s.suspects(ctx, stuckAfter, 0, most, most)
	if err != nil {
		return nil, fmt.Errorf("count commands that need a person: %w", err)
	}
	by := map[order.Why]int{}
	for _, w := range found {
		if why := w.Why(stuckAfter); why != order.NeedsNoPerson {
			by[why]++
		}
	}
	return by, nil
}

// suspects looks at most commands, and returns, by id, limit of those that may need a person, and few others, so that a
// healthy backlog stays where it is. The last of most is returned, too, whatever it is.
func (s *Store) suspects(
	ctx context.Context, stuckAfter time.Duration, after int64, limit, most int,
) ([]lookedAt, error) {
	return s.lookAt(ctx, after, limit, most, `
		c.parked IS NOT NULL OR c.code = ANY($4) OR c.claims >= $5
			OR status IS NULL OR status IN ('COMPLETED', 'CANCELLED')
			OR c.kind = 'VOID' AND status = 'PENDING'
			OR updated_at < (SELECT clock_timestamp()) - $6::interval`,
		order.ConflictCodes, order.TooManyClaims, stuckAfter)
}

// Commands returns the commands in the outbox, the oldest first, of one kind or, when it is empty, of each, from after
// the id on, limit at most. It looks at a bounded number of commands, and so may return fewer than there are, or none.
// rest is the id after which the list goes on, 0 when nothing follows.
func (s *Store) Commands(
	ctx context.Context, kind order.Command, after int64, limit int,
) (found []Waiting, rest int64, err error) {
	window, err := s.lookAt(ctx, after, limit+1, mostLooked, `c.kind = $4 OR $4 = ''`, kind)
	if err != nil {
		return nil, 0, fmt.Errorf("list commands: %w", err)
	}
	for _, w := range window {
		if w.Place == mostLooked {
			rest = w.ID
		}
		if kind == "" || w.Kind == kind {
			found = append(found, w.Waiting)
		}
	}
	if len(found) > limit {
		return found[:limit], found[limit-1].ID, nil
	}
	return found, rest, nil
}

type lookedAt struct {
	Waiting

	Place int // among the commands that were looked at
}

// lookAt looks at most commands from after the id on, and returns, by id, limit of those that which selects, whose args
// begin at $4. The last of most is returned, too, whatever it is: from there the next look goes on.
func (s *Store) lookAt(
	ctx context.Context, after int64, limit, most int, which string, args ...any,
) ([]lookedAt, error) {
	rows, err := pg.QueryInOrder(ctx, s.reads, waitingIn(`(
			SELECT v.*, row_number() OVER (ORDER BY id) AS place
			FROM `+Outbox.Whole()+` AS v
			WHERE id > $1
			ORDER BY id
			LIMIT $2)`, `, place`)+`
		WHERE `+which+`
			OR place = $2
		ORDER BY c.id
		LIMIT $3`, append([]any{after, most, limit}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[lookedAt])
}
