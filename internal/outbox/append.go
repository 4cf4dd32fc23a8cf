package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Channel is the NOTIFY channel on which a process that has committed an Append may wake the workers (pg.Waker).
const Channel = "outbox"

// New is a message to be delivered.
type New struct {
	Key         string    // a UUID: what the message is about
	Kind        string    // capital letters
	Payload     []byte    // what to deliver; the engine does not look inside
	ExpiresAt   time.Time // from then on it is reported as expired instead of delivered; zero: never
	Traceparent string    // W3C trace context of the request that caused it; may be empty
}

// Append puts messages into the outbox, in the caller's transaction: they will be delivered if, and only if, that
// transaction commits. Where the table allows one message of a kind and key, a second one is an error.
func (t Table) Append(ctx context.Context, tx pgx.Tx, messages ...New) error {
	return t.append(ctx, tx, messages, "")
}

// Ensure is Append, but that a message of the same kind and key which is there already stands for the new one, whatever
// is in it: a Handler's Check sees to that.
func (t Table) Ensure(ctx context.Context, tx pgx.Tx, messages ...New) error {
	return t.append(ctx, tx, messages, ` ON CONFLICT DO NOTHING`)
}

// AppendFrom is Append as a part of a statement, for what must be written along with its message in one round trip. It
// is the INSERT that goes into a WITH; from names the query or the table there that has the messages, with the columns
//
//	key, kind, payload, expires, traceparent   as New has them; NULL for what is missing
//
// taker names the one there that is TakerOf: its worker holds them from the beginning. Whether they
// are told of them is the caller's to see to, with TellingOf.
func (t Table) AppendFrom(from, taker string) string {
	taker = pgx.Identifier{taker}.Sanitize()
	return t.sql(`
		INSERT INTO {table} (key, kind, payload, expires_at, traceparent, lease_token, leased_until, claims)
		SELECT key, kind, payload, expires, traceparent,
			(SELECT token FROM ` + taker + `), (SELECT until FROM ` + taker + `), (SELECT claims FROM ` + taker + `)
		FROM ` + pgx.Identifier{from}.Sanitize())
}

func (t Table) append(ctx context.Context, tx pgx.Tx, messages []New, conflict string) error {
	if len(messages) == 0 {
		return nil
	}
	var (
		keys         = make([]string, len(messages))
		kinds        = make([]string, len(messages))
		payloads     = make([][]byte, len(messages))
		expiries     = make([]*time.Time, len(messages))
		traceparents = make([]*string, len(messages))
	)
	for i, m := range messages {
		keys[i], kinds[i], payloads[i] = m.Key, m.Kind, m.Payload
		if !m.ExpiresAt.IsZero() {
			expiries[i] = &m.ExpiresAt
		}
		if m.Traceparent != "" {
			traceparents[i] = &m.Traceparent
		}
	}
	_, err := tx.Exec(ctx, t.sql(`
		INSERT INTO {table} (key, kind, payload, expires_at, traceparent)
		SELECT key, kind, payload, expires_at, traceparent
		FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::timestamptz[], $5::text[])
			AS m (key, kind, payload, expires_at, traceparent)
		ORDER BY key`+conflict),
		keys, kinds, payloads, expiries, traceparents)
	if err != nil {
		return fmt.Errorf("append to the outbox: %w", err)
	}
	return nil
}
