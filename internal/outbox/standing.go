package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/pg"
)

// A standing claim is a worker's on messages that are yet to be written: they are born with it (AppendFrom), and the
// worker only reads them. Nothing rests on it that does not rest on a lease. It is in the row from the beginning, it is
// counted, it ends, and its token fences, so that it is no matter who dies, who is late, or whether the worker hears of
// its messages. Then another takes them, as after any lease, and says that the worker was silent.

const (
	// standsFor is how long a standing claim lasts that is not renewed. It ends before when its messages are found
	// unsettled.
	standsFor = 10 * time.Minute
	// bornShare and bornMost are for how much of a lease, and for how long at most, messages are born with one. It is
	// what they wait for when their worker has died, and all that most of them need. Those that take longer are held on
	// to (Queue.hold).
	bornShare, bornMost = 5, 2 * time.Second
)

// bornFor is the lease that messages are born with.
func bornFor(lease time.Duration) time.Duration { return min(lease/bornShare, bornMost) }

// TakerOf is the query, for the WITH of AppendFrom, of who holds the messages that it writes: one row with the columns
// token, until and claims; of nobody, where no worker has a standing claim.
func (t Table) TakerOf() string {
	return t.sql(`
		SELECT c.token, statement_timestamp() + c.lease AS until, (c.token IS NOT NULL)::integer AS claims
		FROM (SELECT) AS one
		LEFT JOIN LATERAL (
			SELECT token, lease
			FROM {claims}
			WHERE kind = '` + t.Standing + `' AND until > statement_timestamp()
			ORDER BY random() -- each worker has its share
			LIMIT 1
		) AS c ON true`)
}

// stand makes the standing claim of this queue, or renews it.
func (q *Queue) stand(ctx context.Context) error {
	err := pg.Exec(ctx, q.pool, q.table.sql(`
		INSERT INTO {claims} AS c (token, kind, lease, until)
		VALUES ($1, $2, $3, clock_timestamp() + $4::interval)
		ON CONFLICT (token) DO UPDATE SET until = excluded.until`),
		q.token, q.kind, q.born, standsFor)
	if err != nil {
		return fmt.Errorf("make a standing claim: %w", err)
	}
	return nil
}

// standDown ends the standing claim of this queue.
func (q *Queue) standDown(ctx context.Context) error {
	err := pg.Exec(ctx, q.pool, q.table.sql(`DELETE FROM {claims} WHERE token = $1`), q.token)
	if err != nil {
		return fmt.Errorf("end the standing claim: %w", err)
	}
	return nil
}

// silenced ends the standing claims of other workers whose messages are among those found, and tells them: they have
// died, or are late, or hear nothing. It is a part of the WITH of a claim.
const silenced = `, silenced AS (
		DELETE FROM {claims}
		WHERE token = ANY(ARRAY(
			SELECT token
			FROM {claims}
			WHERE token IS DISTINCT FROM $11 AND token = ANY(ARRAY(SELECT lease_token FROM found))
			FOR UPDATE SKIP LOCKED))
		RETURNING pg_notify('` + Channel + `', '` + gone + ` ' || left(token::text, ` + nameLength + `))
		)`

// bornAt reads the messages that were written at the moments with the standing claim of this queue, and which it may
// still hold. Nothing is written, and nothing keeps another call from reading them again.
//
// The first and the last moment are for the planner. What is one of an array may be a filter, for all messages that are
// there, and for those that are gone and not vacuumed yet; a range always leads into the index.
func (q *Queue) bornAt(ctx context.Context, moments []time.Time) ([]claimed, error) {
	return q.readBorn(ctx, `m.ready_at = ANY($4) AND m.ready_at BETWEEN $5 AND $6`,
		moments, slices.MinFunc(moments, time.Time.Compare), slices.MaxFunc(moments, time.Time.Compare))
}

// bornBut is bornAt for all that were written some time ago, but for those of some moments, and some others. Their
// order is for the planner, too: where it takes the table for empty, any index of their kind is as good but for that.
func (q *Queue) bornBut(
	ctx context.Context, ago time.Duration, moments []time.Time, ids []int64,
) ([]claimed, error) {
	return q.readBorn(ctx, `
			m.ready_at > (SELECT clock_timestamp()) - $4::interval
			AND m.ready_at <= (SELECT clock_timestamp()) - $5::interval
			AND m.ready_at <> ALL($6) AND m.id <> ALL($7)
		ORDER BY m.ready_at`, q.born, ago, moments, ids)
}

func (q *Queue) readBorn(ctx context.Context, which string, of ...any) ([]claimed, error) {
	columns, join := ``, ``
	if along := q.table.Along; along != nil {
		columns, join = `, along.*`, ` LEFT JOIN LATERAL (`+along.Query+`) AS along ON true`
	}
	rows, err := pg.Query(ctx, q.pool, q.table.sql(`
		SELECT m.id, m.key, m.payload, m.expires_at, coalesce(m.expires_at <= clock_timestamp(), false) AS expired,
			m.traceparent, m.ready_at, m.leased_until, statement_timestamp() AS at`+columns+`
		FROM {table} AS m`+join+`
		WHERE m.kind = $1 AND m.parked_at IS NULL AND m.lease_token = $2
			AND m.leased_until > (SELECT clock_timestamp()) AND `+which+`
		LIMIT $3`), append([]any{q.kind, q.token, MaxBatch}, of...)...)
	if err != nil {
		return nil, fmt.Errorf("read what was born with a claim: %w", err)
	}
	found, err := pgx.CollectRows(rows, q.scanBorn)
	if err != nil {
		return nil, fmt.Errorf("read what was born with a claim: %w", err)
	}
	return found, nil
}

// scanBorn is scanAs for messages that nobody has touched since they were written.
func (q *Queue) scanBorn(r pgx.CollectableRow) (c claimed, err error) {
	c.Kind, c.LeaseToken, c.Claims = q.kind, q.token, 1
	var expires, leased pgtype.Timestamptz
	into := []any{&c.ID, &c.Key, &c.Payload, &expires, &c.Expired, &c.Traceparent, &c.ReadyAt, &leased, &c.At}
	if q.table.Along != nil {
		var columns []any
		columns, c.Along = q.table.Along.Into()
		into = append(into, columns...)
	}
	err = r.Scan(into...)
	if expires.Valid {
		c.ExpiresAt = &expires.Time
	}
	c.LeasedUntil, c.CreatedAt = &leased.Time, c.ReadyAt
	return c, err
}

// hold prolongs the lease of those messages that this queue still holds by its standing claim. What somebody has locked
// is passed over: it is being settled, or was taken already.
func (q *Queue) hold(ctx context.Context, ids []int64) error {
	err := pg.Exec(ctx, q.pool, q.table.sql(`
		UPDATE {table}
		SET leased_until = clock_timestamp() + $3::interval
		WHERE id = ANY(ARRAY(
			SELECT id
			FROM {table}
			WHERE id = ANY($1) AND lease_token = $2
			FOR UPDATE SKIP LOCKED))`), ids, q.token, q.lease)
	if err != nil {
		return fmt.Errorf("hold on to %d messages: %w", len(ids), err)
	}
	return nil
}

// leave gives back what was born with the standing claim of this queue and never read, as if nobody had claimed it, and
// wakes the others. It is for a worker that stops, and holds nothing any more.
func (q *Queue) leave(ctx context.Context) error {
	err := pg.Exec(ctx, q.pool, q.table.sql(`
		WITH down AS (
			DELETE FROM {claims} WHERE token = $2
		), left_behind AS (
			UPDATE {table}
			SET lease_token = NULL, leased_until = NULL, claims = claims - 1
			WHERE id = ANY(ARRAY(
				SELECT id
				FROM {table}
				WHERE kind = $1 AND parked_at IS NULL AND lease_token = $2
					AND ready_at > (SELECT clock_timestamp() - $3::interval)
				ORDER BY ready_at -- for the planner, as in bornBut
				FOR UPDATE SKIP LOCKED))
			RETURNING id
		)
		SELECT pg_notify('`+Channel+`', $1) FROM left_behind LIMIT 1`),
		q.kind, q.token, q.born)
	if err != nil {
		return fmt.Errorf("give back what was not read: %w", err)
	}
	return nil
}
