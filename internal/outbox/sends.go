package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// A message that is delivered over a broker is handed over, and stays: that the broker has confirmed it is no outcome,
// since brokers lose what they have confirmed. What became of it comes as an event, and is applied as any outcome is.
// Until then the message is handed over again, each time as another send, after waits that grow.

// Handed is a message that a broker has confirmed.
type Handed struct {
	Message Message
	Delay   time.Duration // until it is handed over again
	Code    string        // for people
}

// HandOver notes that messages were handed over. Their claims are taken back, as if they had not been made: they have
// left nothing open, and came to no answer. A message whose lease has gone to another worker is left alone, and so is
// one that somebody is settling: it needs nothing any more, or is due when its lease is over.
func (t Table) HandOver(ctx context.Context, pool *pgxpool.Pool, handed []Handed) error {
	if len(handed) == 0 {
		return nil
	}
	var (
		messages = make([]Message, len(handed))
		delays   = make([]time.Duration, len(handed))
		codes    = make([]string, len(handed))
		sends    = make([]int32, len(handed))
	)
	for i, h := range handed {
		messages[i], delays[i], codes[i], sends[i] = h.Message, h.Delay, h.Code, int32(h.Message.Sends+1)
	}
	ids, tokens := leases(messages)
	err := pg.Exec(ctx, pool, t.sql(`
		WITH held AS (
			SELECT m.id, h.delay, h.code, h.send
			FROM unnest($1::bigint[], $2::uuid[], $3::interval[], $4::text[], $5::integer[])
				AS h (id, token, delay, code, send)
			JOIN {table} AS m ON m.id = ANY(ARRAY[h.id]) AND h.token = m.lease_token
			FOR UPDATE OF m SKIP LOCKED
		)
		UPDATE {table} AS m
		SET lease_token = NULL,
			leased_until = NULL,
			claims = claims - 1,
			sends = greatest(sends, held.send),
			ready_at = clock_timestamp() + held.delay,
			last_code = held.code
		FROM held
		WHERE m.id = ANY(ARRAY[held.id])`), ids, tokens, delays, codes, sends)
	if err != nil {
		return fmt.Errorf("hand over %d messages: %w", len(handed), err)
	}
	return nil
}

// Locked is a message as it is now, and what else an event about it must know.
type Locked struct {
	Message

	Refused int // the latest send whose refusal was counted; 0: none was
	Parked  bool
}

// Lock returns the messages of keys as they are now, and keeps them so until the end of the transaction. The caller
// holds the locks of the things that they are about. It waits for a claim that is being made, and no longer. Each key
// is one of another thing.
func (t Table) Lock(ctx context.Context, tx pgx.Tx, keys []string) ([]Locked, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, t.sql(`
		SELECT `+messageColumns+`, m.leased_until, false AS alone, m.refused, m.parked_at IS NOT NULL AS parked
		FROM unnest($1::uuid[]) AS k (key)
		JOIN {table} AS m ON m.key = ANY(ARRAY[k.key])
		FOR UPDATE OF m`), keys)
	if err != nil {
		return nil, fmt.Errorf("lock messages: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Locked])
	if err != nil {
		return nil, fmt.Errorf("lock messages: %w", err)
	}
	return found, nil
}
