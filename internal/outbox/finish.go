package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// The statements below belong into the transaction that applies what became of the messages. The caller holds the locks
// of the things that the messages are about, taken before, so that no two transactions here meet on a row.
//
// = ANY(ARRAY[id]) is a lookup in any plan: see Queue.claim.

// Remove takes messages out of the outbox, whoever holds them: their outcome is applied.
func (t Table) Remove(ctx context.Context, tx pgx.Tx, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, t.sql(`DELETE FROM {table} WHERE id = ANY($1)`), ids); err != nil {
		return fmt.Errorf("remove from the outbox: %w", err)
	}
	return nil
}

// RemoveAll takes every message of the keys out of the outbox, whoever holds them: there is nothing left to tell.
//
// It looks them up key by key. With key = ANY($1), a database that has no statistics about the outbox, because it was
// empty when it was last analyzed, expects half a percent of the table for each key, and reads all of it.
func (t Table) RemoveAll(ctx context.Context, tx pgx.Tx, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, t.RemovalOf(`unnest($1::uuid[]) AS k (key)`), keys); err != nil {
		return fmt.Errorf("remove from the outbox: %w", err)
	}
	return nil
}

// RemovalOf is the statement of RemoveAll, for those that settle with a single one: the keys are those of a FROM item
// that is called k and has a column key.
func (t Table) RemovalOf(keys string) string {
	return t.sql(`
		DELETE FROM {table}
		WHERE key = ANY(ARRAY(SELECT k.key FROM ` + keys + `))`)
}

// RemovalBetween is RemovalOf for the keys of an array that lie near each other: it reads all from the first to the
// last. Whoever has further conditions goes on with AND.
func (t Table) RemovalBetween(first, last, keys string) string {
	return t.sql(`
		DELETE FROM {table}
		WHERE key BETWEEN ` + first + ` AND ` + last + ` AND (key IN (SELECT unnest(` + keys + `::uuid[]))) IS TRUE`)
}

// Retry says how a message goes on.
type Retry struct {
	Message  Message
	Delay    time.Duration // until it is due again
	Code     string        // what the delivery came to, for people
	Spends   bool          // it counts against the budget of attempts
	Answered bool          // the delivery is known to have broken nothing, or was not begun
	Forgives bool          // so is one of the claims before it that left no record, whatever that died of
	Refused  int           // the send that was refused: it is counted, and counts as handed over; 0: none was
	Stays    bool          // whoever holds the message goes on with it: this tells of a delivery before his
	Payload  []byte        // replaces the payload; nil keeps it, unless the message was rebuilt
}

// Reschedule makes messages due again later. A message whose lease has gone to another worker is left alone: the WHERE
// on lease_token is the fence. One that nobody holds has no token, and whoever read that goes by it (Table.Lock).
func (t Table) Reschedule(ctx context.Context, tx pgx.Tx, retries []Retry) error {
	if len(retries) == 0 {
		return nil
	}
	var (
		messages = make([]Message, len(retries))
		delays   = make([]time.Duration, len(retries))
		codes    = make([]string, len(retries))
		spends   = make([]int32, len(retries))
		answered = make([]int32, len(retries))
		refused  = make([]int32, len(retries))
		stays    = make([]bool, len(retries))
		payloads = make([][]byte, len(retries))
	)
	for i, r := range retries {
		messages[i], delays[i], codes[i], payloads[i] = r.Message, r.Delay, r.Code, r.Payload
		if r.Payload == nil && r.Message.Rebuilt {
			payloads[i] = r.Message.Payload
		}
		spends[i], answered[i] = count(r.Spends), count(r.Answered)+count(r.Forgives)
		refused[i], stays[i] = int32(r.Refused), r.Stays
	}
	ids, tokens := leases(messages)
	_, err := tx.Exec(ctx, t.sql(`
		UPDATE {table} AS m
		SET lease_token = CASE WHEN r.stays THEN m.lease_token END,
			leased_until = CASE WHEN r.stays THEN m.leased_until END,
			ready_at = clock_timestamp() + r.delay,
			attempts = attempts + r.spends,
			answers = answers + r.answered,
			sends = greatest(sends, r.refused),
			refused = greatest(m.refused, r.refused),
			last_code = r.code,
			payload = coalesce(r.payload, m.payload)
		FROM unnest($1::bigint[], $2::uuid[], $3::interval[], $4::text[], $5::integer[], $6::integer[], $7::bytea[],
				$8::integer[], $9::boolean[])
			AS r (id, token, delay, code, spends, answered, payload, refused, stays)
		WHERE m.id = ANY(ARRAY[r.id]) AND m.lease_token IS NOT DISTINCT FROM r.token`),
		ids, tokens, delays, codes, spends, answered, payloads, refused, stays)
	if err != nil {
		return fmt.Errorf("reschedule: %w", err)
	}
	return nil
}

// Park sets messages aside, for their codes, until an operator retries them, or until they expire. It is fenced like
// Reschedule. Whoever holds a message that was handed over before has been told enough, too.
func (t Table) Park(ctx context.Context, tx pgx.Tx, parked []Retry) error {
	if len(parked) == 0 {
		return nil
	}
	var (
		messages = make([]Message, len(parked))
		codes    = make([]string, len(parked))
		refused  = make([]int32, len(parked))
	)
	for i, p := range parked {
		messages[i], codes[i], refused[i] = p.Message, p.Code, int32(p.Refused)
	}
	ids, tokens := leases(messages)
	_, err := tx.Exec(ctx, t.sql(`
		UPDATE {table} AS m
		SET lease_token = NULL, leased_until = NULL, parked_at = clock_timestamp(),
			answers = answers + (lease_token IS NOT NULL)::integer,
			sends = greatest(sends, p.refused), refused = greatest(m.refused, p.refused), last_code = p.code
		FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::integer[]) AS p (id, token, code, refused)
		WHERE m.id = ANY(ARRAY[p.id]) AND m.lease_token IS NOT DISTINCT FROM p.token`),
		ids, tokens, codes, refused)
	if err != nil {
		return fmt.Errorf("park: %w", err)
	}
	return nil
}

func count(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
