package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// Message is a row of the outbox as it was claimed.
type Message struct {
	ID          int64
	Key         string
	Kind        string
	Payload     []byte
	ExpiresAt   *time.Time // nil: never
	Traceparent *string
	Attempts    int // deliveries that were answered ambiguously
	Claims      int // how often it was claimed, this time included
	Answers     int // how many of the claims came to an answer
	CreatedAt   time.Time
	Expired     bool       // it was past ExpiresAt when it was claimed
	Alone       bool       // too many claims came to no answer: it may be killing its workers
	LeaseToken  *string    // names the latest claim; nil when there is none
	LeasedUntil *time.Time // of that claim, by the database's clock; nil when it was not claimed

	Rebuilt bool `db:"-"` // Check made Payload anew: should the message be tried again, it is stored
}

// messageColumns is a Message but for what its claim says, of a row that is called m.
const messageColumns = `m.id, m.key, m.kind, m.payload, m.expires_at, m.traceparent, m.attempts, m.claims, m.answers,
	m.created_at, m.lease_token, coalesce(m.expires_at <= clock_timestamp(), false) AS expired`

// Queue is the messages of one kind in a table.
type Queue struct {
	pool  *pgxpool.Pool
	table Table
	kind  string
	lease time.Duration
}

// NewQueue makes a Queue whose claims last for the length of a lease.
func NewQueue(pool *pgxpool.Pool, table Table, kind string, lease time.Duration) *Queue {
	return &Queue{pool: pool, table: table, kind: kind, lease: lease}
}

// Claim leases up to limit messages that are due, the longest due first, and up to alone (0 or 1) of those that must
// be delivered alone. Rows that another worker is claiming are passed over, not waited for. Where the table supersedes,
// a row with a younger row of the same key, of whatever kind, is deleted instead.
func (q *Queue) Claim(ctx context.Context, limit, alone int) ([]Message, error) {
	return q.claim(ctx, limit, alone, false)
}

// ClaimUntried leases like Claim, but only messages that nobody has claimed before, and none that must go alone.
func (q *Queue) ClaimUntried(ctx context.Context, limit int) ([]Message, error) {
	return q.claim(ctx, limit, 0, true)
}

// claim looks each message up by = ANY(ARRAY[id]), here as in the statements below. It says what = would, but that a
// plan cannot turn it around, and go through all messages for each that was found: a plan is made once, perhaps when
// there were none.
func (q *Queue) claim(ctx context.Context, limit, alone int, untried bool) ([]Message, error) {
	messages, err := pg.Write(ctx, q.pool, pgx.RowToStructByName[Message], q.table.sql(`
		WITH plain AS (
			SELECT id, key, false AS alone
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at <= (SELECT clock_timestamp())
				AND claims - answers < 3
				AND kind = $5
				AND (NOT $6 OR claims = 0)
			ORDER BY ready_at
			LIMIT $1
			FOR UPDATE SKIP LOCKED
		), suspect AS (
			SELECT id, key, true AS alone
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at <= (SELECT clock_timestamp())
				AND claims - answers >= 3 -- the index outbox_suspect_of_kind says the same
				AND kind = $5
			ORDER BY ready_at
			LIMIT $2
			FOR UPDATE SKIP LOCKED
		), due AS (
			SELECT id, alone,
				$7 AND EXISTS (SELECT FROM {table} AS y WHERE y.key = found.key AND y.id > found.id) AS superseded
			FROM (SELECT id, key, alone FROM plain UNION ALL SELECT id, key, alone FROM suspect) AS found
		), gone AS (
			DELETE FROM {table} AS m
			USING due
			WHERE m.id = ANY(ARRAY[due.id]) AND due.superseded
		)
		UPDATE {table} AS m
		SET lease_token = $3, claims = claims + 1, ready_at = clock_timestamp() + $4::interval
		FROM due
		WHERE m.id = ANY(ARRAY[due.id]) AND NOT due.superseded
		RETURNING `+messageColumns+`, m.ready_at AS leased_until, due.alone`),
		limit, alone, uuid.NewString(), q.lease, q.kind, untried, q.table.Supersedes)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return messages, nil
}

// Expired finds messages past their ExpiresAt that nobody holds, parked ones included, without the first skip of them.
// It does not claim them: giving up needs no lease.
func (q *Queue) Expired(ctx context.Context, limit, skip int) ([]Message, error) {
	rows, err := pg.QueryInOrder(ctx, q.pool, q.table.sql(`
		SELECT `+messageColumns+`, NULL::timestamptz AS leased_until, false AS alone
		FROM {table} AS m
		WHERE expires_at <= (SELECT clock_timestamp())
			AND (parked_at IS NOT NULL OR ready_at <= (SELECT clock_timestamp()))
			AND kind = $2
		ORDER BY expires_at
		LIMIT $1
		OFFSET $3`), limit, q.kind, skip)
	if err != nil {
		return nil, fmt.Errorf("find expired messages: %w", err)
	}
	messages, err := pgx.CollectRows(rows, pgx.RowToStructByName[Message])
	if err != nil {
		return nil, fmt.Errorf("find expired messages: %w", err)
	}
	return messages, nil
}

// Recall makes messages due, up to limit, that are to wait for longer than any message may: the clock was set back
// after that was written, and says nothing any more about what their waits or their leases were. It returns how many.
// It looks before it writes: there is nothing but once in a blue moon.
func (q *Queue) Recall(ctx context.Context, longest time.Duration, limit int) (int, error) {
	rows, err := pg.Query(ctx, q.pool, q.table.sql(`
		SELECT coalesce((
			SELECT ready_at
			FROM {table}
			WHERE parked_at IS NULL AND kind = $1
			ORDER BY ready_at DESC
			LIMIT 1
		) > clock_timestamp() + $2::interval, false)`), q.kind, longest)
	if err != nil {
		return 0, fmt.Errorf("look for messages from the future: %w", err)
	}
	ahead, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err != nil {
		return 0, fmt.Errorf("look for messages from the future: %w", err)
	}
	if !ahead {
		return 0, nil
	}
	ids, err := pg.Write(ctx, q.pool, pgx.RowTo[int64], q.table.sql(`
		WITH ahead AS (
			SELECT id
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at > (SELECT clock_timestamp() + $2::interval)
				AND kind = $1
			ORDER BY ready_at DESC
			LIMIT $3
			FOR UPDATE SKIP LOCKED
		)
		UPDATE {table} AS m
		SET ready_at = clock_timestamp()
		FROM ahead
		WHERE m.id = ANY(ARRAY[ahead.id])
		RETURNING m.id`), q.kind, longest, limit)
	if err != nil {
		return 0, fmt.Errorf("recall messages from the future: %w", err)
	}
	return len(ids), nil
}

// NextDue returns how long it is until the next message is due: zero or less when one is due now, false when there is
// none at all. Messages that must be delivered alone count if alone is 1: a caller that may not claim them need not
// wait for them.
func (q *Queue) NextDue(ctx context.Context, alone int) (time.Duration, bool, error) {
	rows, err := pg.Query(ctx, q.pool, q.table.sql(`
		SELECT extract(epoch FROM (
			SELECT ready_at
			FROM {table}
			WHERE parked_at IS NULL AND ($1 > 0 OR claims - answers < 3) AND kind = $2
			ORDER BY ready_at
			LIMIT 1
		) - clock_timestamp())::float8`), alone, q.kind)
	if err != nil {
		return 0, false, fmt.Errorf("find the next message due: %w", err)
	}
	seconds, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[*float64])
	if err != nil {
		return 0, false, fmt.Errorf("find the next message due: %w", err)
	}
	if seconds == nil {
		return 0, false, nil
	}
	return time.Duration(*seconds * float64(time.Second)), true, nil
}

// Release gives claims back that were not used, as if they had not been made: the worker stops before it delivered.
func (q *Queue) Release(ctx context.Context, messages []Message) error {
	ids, tokens := leases(messages)
	err := pg.Exec(ctx, q.pool, q.table.sql(`
		WITH held AS (
			SELECT m.id
			FROM {table} AS m
			JOIN unnest($1::bigint[], $2::uuid[]) AS claimed (id, token)
				ON m.id = ANY(ARRAY[claimed.id]) AND claimed.token = m.lease_token
			FOR UPDATE OF m SKIP LOCKED
		)
		UPDATE {table} AS m
		SET lease_token = NULL, claims = claims - 1, ready_at = clock_timestamp()
		FROM held
		WHERE m.id = ANY(ARRAY[held.id])`), ids, tokens)
	if err != nil {
		return fmt.Errorf("release %d claims: %w", len(messages), err)
	}
	return nil
}

func leases(messages []Message) (ids []int64, tokens []*string) {
	for _, m := range messages {
		ids, tokens = append(ids, m.ID), append(tokens, m.LeaseToken)
	}
	return ids, tokens
}
