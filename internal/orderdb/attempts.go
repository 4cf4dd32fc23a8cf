package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// Delivery is how a relay delivered a command, beside what the command and its Retry say.
type Delivery struct {
	Relay  string        // the relay's name
	RPC    string        // the method or the event that carried it; empty: nothing was sent
	Result outbox.Result // what the relay took the answer for; never TimedOut, which the engine resolves
	Took   time.Duration // from sending to the answer
	Traced bool          // its order's trace is kept: whoever asks for the order is to find it
}

// clean reports whether a delivery was the first one, decided, and nothing more is to say of it. Nearly every order has
// just that. A claim is taken back when its command was handed over.
func (d Delivery) clean(r outbox.Retry) bool {
	first := r.Message.Claims == 1 || r.Message.Claims == 0 && r.Message.Sends <= 1
	return d.Result == outbox.Decided && first &&
		r.Code != order.NotRefunded && r.Code != order.ExpiredEarly
}

// implied reports whether a delivery leaves no row.
func (d Delivery) implied(r outbox.Retry) bool {
	return d.clean(r) && !d.Traced
}

// meanings are the words of the database for what the engine knows as results.
var meanings = map[outbox.Result]string{
	outbox.Decided: "DECIDED", outbox.Ambiguous: "AMBIGUOUS", outbox.Blocked: "BLOCKED", outbox.Refused: "REFUSED",
	outbox.Conflict: "CONFLICT", outbox.Expired: "EXPIRED", outbox.Unreadable: "UNREADABLE",
	outbox.Withheld: "BLOCKED", outbox.Deferred: "BLOCKED",
}

// attempt is a row to be written.
type attempt struct {
	Delivery
	message outbox.Message
	code    string
	retryIn *time.Duration // nil: none follows
}

// record adds attempts.
func record(ctx context.Context, tx pgx.Tx, attempts []attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, recording, attemptColumns(attempts)...); err != nil {
		return fmt.Errorf("record attempts: %w", err)
	}
	return nil
}

// recording adds attempts. One that is there already was settled before: by this worker, which did not hear of its
// commit, or by one that was too late. It stays as it is.
const recording = `
	INSERT INTO attempts (order_id, command_id, claim, code, kind, relay, rpc, means, latency, trace_id, retry_in)
	SELECT order_id, command_id, claim, code, kind, relay, nullif(rpc, ''), means, latency, ` + traceID + `, retry_in
	FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::interval[], $10::text[], $11::interval[])
		AS a (order_id, command_id, claim, code, kind, relay, rpc, means, latency, traceparent, retry_in)
	ORDER BY order_id
	ON CONFLICT DO NOTHING`

// attemptColumns are the parameters of recording.
func attemptColumns(attempts []attempt) []any {
	var (
		keys         = make([]string, len(attempts))
		ids          = make([]int64, len(attempts))
		claims       = make([]int32, len(attempts))
		codes        = make([]string, len(attempts))
		kinds        = make([]string, len(attempts))
		relays       = make([]string, len(attempts))
		rpcs         = make([]string, len(attempts))
		means        = make([]string, len(attempts))
		latencies    = make([]time.Duration, len(attempts))
		traceparents = make([]*string, len(attempts))
		waits        = make([]*time.Duration, len(attempts))
	)
	for i, a := range attempts {
		m := a.message
		keys[i], ids[i], kinds[i], traceparents[i] = m.Key, m.ID, m.Kind, m.Traceparent
		claims[i] = int32(m.Claims + m.Sends) // a hand-over makes the one of the other
		relays[i], rpcs[i], means[i], latencies[i] = a.Relay, a.RPC, meanings[a.Result], a.Took
		codes[i], waits[i] = a.code, a.retryIn
	}
	return []any{keys, ids, claims, codes, kinds, relays, rpcs, means, latencies, traceparents, waits}
}

// vain counts how often voids that have just failed have failed before; what was deferred is no failure. Whoever
// records holds their orders, so that each failure has a number of its own, whichever relay met it: none of them is
// skipped.
func vain(ctx context.Context, tx pgx.Tx, failed []attempt) ([]Vain, error) {
	if len(failed) == 0 {
		return nil, nil
	}
	keys, ids := make([]string, len(failed)), make([]int64, len(failed))
	for i, a := range failed {
		keys[i], ids[i] = a.message.Key, a.message.ID
	}
	rows, err := tx.Query(ctx, `
		SELECT (
			SELECT count(*)
			FROM attempts
			WHERE attempts.order_id = c.order_id AND attempts.command_id = c.id AND attempts.rpc IS NOT NULL
				AND attempts.code <> ALL($3)
		)
		FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS c (order_id, id, place)
		ORDER BY c.place`, keys, ids, order.DeferredCodes)
	if err != nil {
		return nil, fmt.Errorf("count failures: %w", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("count failures: %w", err)
	}
	out := make([]Vain, len(failed))
	for i, a := range failed {
		out[i] = Vain{Message: a.message, Code: a.code, Failures: counts[i]}
	}
	return out, nil
}

// traceID is the trace id of a W3C traceparent, NULL where there is none of the known form.
const traceID = `substring(traceparent from '^[0-9a-f]{2}-([0-9a-f]{32})-')`

// Attempt is a delivery as it was recorded.
type Attempt struct {
	Kind    order.Command
	Claim   int // which of the command's claims and sends it was
	At      time.Time
	Relay   string
	RPC     *string // nil: nothing was sent
	Code    string  // what it came to: a reason or a gRPC code
	Means   string  // what the relay took that for, in the database's words
	Latency time.Duration
	TraceID *string
	RetryIn *time.Duration // nil: none was to follow
	Total   int            // how many there are of the order
}

// attemptsOf returns the latest attempts of an order, limit at most, the oldest of them first.
func attemptsOf(ctx context.Context, tx pgx.Tx, id string, limit int) ([]Attempt, error) {
	rows, err := tx.Query(ctx, `
		SELECT kind, claim, at, relay, rpc, code, means, latency, trace_id, retry_in, total
		FROM (
			SELECT kind, claim, at, relay, rpc, code, means, latency, trace_id, retry_in, command_id,
				count(*) OVER () AS total
			FROM attempts
			WHERE order_id = $1
			ORDER BY at DESC, command_id DESC, claim DESC
			LIMIT $2
		) AS latest
		ORDER BY at, command_id, claim`, id, limit)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	attempts, err := pgx.CollectRows(rows, pgx.RowToStructByName[Attempt])
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return attempts, nil
}
