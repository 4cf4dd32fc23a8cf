package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
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
	Sends       int // how often it was handed over: the number of the latest send
	CreatedAt   time.Time
	Expired     bool       // it was past ExpiresAt when it was claimed
	Alone       bool       // too many claims came to no answer: it may be killing its workers
	LeaseToken  *string    // names the latest claim; nil when there is none
	LeasedUntil *time.Time // of that claim, by the database's clock; nil when it was not claimed

	Rebuilt bool `db:"-"` // Check made Payload anew: should the message be tried again, it is stored
	Read    any  `db:"-"` // what Check read in Payload, for Deliver; the engine does not look inside
	Along   any  `db:"-"` // what was read along with it, for Check; nil: nothing was
	Note    any  `db:"-"` // what Deliver noted, for Explain and Settle; the engine does not look inside

	lot *lot // what it was born with; nil: it was claimed
}

// messageColumns is a Message but for what its claim says, of a row that is called m.
const messageColumns = `m.id, m.key, m.kind, m.payload, m.expires_at, m.traceparent, m.attempts, m.claims, m.answers,
	m.sends, m.created_at, m.lease_token, coalesce(m.expires_at <= clock_timestamp(), false) AS expired`

// Queue is the messages of one kind in a table.
type Queue struct {
	pool  *pgxpool.Pool
	table Table
	kind  string
	lease time.Duration
	token *string       // of its standing claim; nil: it may have none
	born  time.Duration // the lease that its messages are born with
}

// NewQueue makes a Queue whose claims last for the length of a lease.
func NewQueue(pool *pgxpool.Pool, table Table, kind string, lease time.Duration) *Queue {
	q := &Queue{pool: pool, table: table, kind: kind, lease: lease, born: bornFor(lease)}
	if kind == table.Standing {
		token := uuid.NewString()
		q.token = &token
	}
	return q
}

// Claim leases up to limit messages that are due, the longest due first, and up to alone (0 or 1) of those that must
// be delivered alone. Rows that another worker is claiming are passed over, not waited for. Where the table
// supersedes, a row with a younger row of the same key, of whatever kind, is deleted instead.
func (q *Queue) Claim(ctx context.Context, limit, alone int) ([]Message, error) {
	found, err := q.claim(ctx, ask{limit: limit, alone: alone})
	return messagesOf(found), err
}

// ask says what a claim may take.
type ask struct {
	limit, alone int
	untried      bool      // only messages that nobody has claimed before
	fresh        bool      // only messages that were never handed over
	again        bool      // only messages that were
	from         time.Time // those due before are passed over, but for the ones that go alone; zero: none are
}

// claimed is a Message with what only its claim knows.
type claimed struct {
	Message

	ReadyAt time.Time // since when it was due
	At      time.Time // when the claim was made; both by the database's clock
}

func messagesOf(found []claimed) []Message {
	messages := make([]Message, len(found))
	for i := range found {
		messages[i] = found[i].Message
	}
	return messages
}

// scanAs scans the rows of a claim, whose columns are in this order. It is the relay's most frequent row: what all of a
// claim have in common is not read again and again, and nothing is looked up by its name.
func (q *Queue) scanAs(token string) pgx.RowToFunc[claimed] {
	return func(r pgx.CollectableRow) (c claimed, err error) {
		c.Kind, c.LeaseToken = q.kind, &token
		var expires, leased pgtype.Timestamptz
		err = r.Scan(&c.ID, &c.Key, nil, &c.Payload, &expires, &c.Traceparent, &c.Attempts, &c.Claims, &c.Answers,
			&c.Sends, &c.CreatedAt, nil, &c.Expired, &c.ReadyAt, &leased, &c.Alone, &c.At)
		if expires.Valid {
			c.ExpiresAt = &expires.Time
		}
		c.LeasedUntil = &leased.Time
		return c, err
	}
}

// held says that a lease has not ended yet. A lease without an end is one of an earlier release, which moved ready_at
// there. A token that is gone took its lease with it.
const held = `(lease_token IS NOT NULL AND leased_until > (SELECT clock_timestamp())) IS TRUE`

// claim changes no column that an index or its predicate names: the new version of a row stays on its page, and no
// index hears of it. suspect changes only when it becomes one.
//
// It looks messages up by = ANY(ARRAY(SELECT ...)), or = ANY(ARRAY[id]) where they are joined, as the statements below
// do. It says what = would, but that a plan cannot turn it around, and go through all messages for each that was found:
// a plan is made once, perhaps when there were none. The first is the cheaper one.
func (q *Queue) claim(ctx context.Context, a ask) ([]claimed, error) {
	token, silencing := uuid.NewString(), ""
	args := []any{
		a.limit, a.alone, token, q.lease, q.kind, a.untried, q.table.Supersedes, orBeginning(a.from),
		a.fresh, a.again,
	}
	if q.token != nil {
		silencing, args = silenced, append(args, q.token)
	}
	found, err := pg.Write(ctx, q.pool, q.scanAs(token), q.table.sql(`
		WITH plain AS (
			SELECT id, key, lease_token
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at <= (SELECT clock_timestamp())
				AND ready_at >= $8
				AND NOT suspect
				AND NOT `+held+`
				AND kind = $5
				AND (NOT $6 OR claims = 0)
				AND (NOT $9 OR sends = 0)
				AND (NOT $10 OR sends > 0)
			ORDER BY ready_at
			LIMIT $1
			FOR UPDATE SKIP LOCKED
		), suspect AS (
			SELECT id, key, lease_token
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at <= (SELECT clock_timestamp())
				AND suspect -- the index outbox_suspects says the same
				AND NOT `+held+`
				AND kind = $5
				AND (NOT $9 OR sends = 0)
			ORDER BY `+dueAt+` -- whose lease has just ended goes last: what kills its relay keeps no other waiting
			LIMIT $2
			FOR UPDATE SKIP LOCKED
		), found AS (
			SELECT * FROM plain UNION ALL SELECT * FROM suspect
		), due AS MATERIALIZED (
			SELECT id,
				$7 AND EXISTS (SELECT FROM {table} AS y WHERE y.key = found.key AND y.id > found.id) AS superseded
			FROM found
		)`+silencing+`, gone AS (
			DELETE FROM {table}
			WHERE id = ANY(ARRAY(SELECT id FROM due WHERE superseded))
		)
		UPDATE {table} AS m
		SET lease_token = $3, claims = claims + 1, leased_until = clock_timestamp() + $4::interval
		WHERE id = ANY(ARRAY(SELECT id FROM due WHERE NOT superseded))
		RETURNING `+messageColumns+`, m.ready_at, m.leased_until,
			m.id IN (SELECT id FROM suspect) AS alone, statement_timestamp() AS at`),
		args...)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return found, nil
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
		UPDATE {table}
		SET lease_token = NULL, claims = claims - 1, leased_until = NULL
		WHERE id = ANY(ARRAY(SELECT id FROM held))`), ids, tokens)
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
