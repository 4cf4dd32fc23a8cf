package outbox

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// lookAtMost bounds how many messages a statement looks at that does not claim: there may be a million.
const lookAtMost = 10_000

// place is how far a sweep has got. The zero place is the beginning.
type place struct {
	parked int64     // the number of the last parked message
	ready  time.Time // since when the last one was due that is not parked, by the database's clock
}

// candidate is what a sweep came by: a message that is late, or the last one that it looked at.
type candidate struct {
	ID      int64
	ReadyAt *time.Time // nil: it is parked
	Late    bool
	Looked  int64 // at so many messages that are due
}

// Expired finds messages past their ExpiresAt that nobody holds, parked ones included. It does not claim them: giving
// up needs no lease. One pass finds no more than limit, and looks at 10,000 of those that are due; the next one goes on
// from the place that it returns.
func (q *Queue) Expired(ctx context.Context, limit int, from place) ([]Message, place, error) {
	found, err := collect[candidate](ctx, q.pool, q.table.sql(`
		(
			SELECT id, NULL::timestamptz AS ready_at, true AS late, 0 AS looked
			FROM {table}
			WHERE parked_at IS NOT NULL AND kind = $1 AND id > $2 AND expires_at <= (SELECT clock_timestamp())
			ORDER BY id
			LIMIT $4
		) UNION ALL (
			SELECT id, ready_at, late, looked
			FROM (
				SELECT id, ready_at, late, row_number() OVER (ORDER BY ready_at) AS n, count(*) OVER () AS looked
				FROM (
					SELECT id, ready_at,
						coalesce(expires_at <= (SELECT clock_timestamp()), false) AND NOT `+held+` AS late
					FROM {table}
					WHERE parked_at IS NULL AND kind = $1
						AND ready_at >= $3 AND ready_at <= (SELECT clock_timestamp())
					ORDER BY ready_at
					LIMIT $5
				) AS due
			) AS numbered
			WHERE late OR n = looked
			ORDER BY n
		)`), q.kind, from.parked, orBeginning(from.ready), limit, lookAtMost)
	if err != nil {
		return nil, from, fmt.Errorf("look for expired messages: %w", err)
	}
	ids, next := late(found, limit, from)
	if len(ids) == 0 {
		return nil, next, nil
	}
	messages, err := collect[Message](ctx, q.pool, q.table.sql(`
		SELECT `+messageColumns+`, NULL::timestamptz AS leased_until, false AS alone
		FROM {table} AS m
		WHERE id = ANY($1) AND expires_at <= (SELECT clock_timestamp()) AND NOT `+held+`
			AND (parked_at IS NOT NULL OR ready_at <= (SELECT clock_timestamp()))
		ORDER BY expires_at`), ids)
	if err != nil {
		return nil, from, fmt.Errorf("find expired messages: %w", err)
	}
	return messages, next, nil
}

// late returns the messages of a pass that are late, and where the next one goes on. At the end it begins anew.
func late(found []candidate, limit int, from place) (ids []int64, next place) {
	for _, c := range found {
		if c.ReadyAt != nil && (len(ids) == limit || c.Looked == lookAtMost) {
			next.ready = *c.ReadyAt
		}
		if len(ids) == limit {
			break
		}
		if c.Late {
			ids = append(ids, c.ID)
		}
		if c.ReadyAt == nil && len(ids) == limit {
			next.parked, next.ready = c.ID, from.ready
		}
	}
	if !next.ready.IsZero() && next.parked == 0 && !next.ready.After(from.ready) {
		next.ready = from.ready.Add(time.Microsecond) // so many became due at one moment
	}
	return ids, next
}

func orBeginning(at time.Time) pgtype.Timestamptz {
	if at.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: at, Valid: true}
}

// Recall makes messages due, up to limit, that are to wait for longer than any message may: the clock was set back
// after that was written, and says nothing any more about what their waits or their leases were. It returns how many.
// Look says whether there are any. longest is how long a message may wait, and resent one that was handed over.
func (q *Queue) Recall(ctx context.Context, longest, resent time.Duration, limit int) (int, error) {
	ids, err := pg.Write(ctx, q.pool, pgx.RowTo[int64], q.table.sql(`
		WITH ahead AS (
			SELECT id
			FROM {table}
			WHERE parked_at IS NULL
				AND ready_at > (SELECT clock_timestamp() + $2::interval)
				AND kind = $1
				AND (sends = 0 OR ready_at > (SELECT clock_timestamp() + $4::interval))
			ORDER BY ready_at DESC
			LIMIT $3
			FOR UPDATE SKIP LOCKED
		), leased AS (
			SELECT id
			FROM {table}
			WHERE id = ANY(ARRAY(`+leasedAhead(`$1`, `$2`, `'-infinity'`)+` LIMIT $3))
			FOR UPDATE SKIP LOCKED
		)
		UPDATE {table} AS m
		SET ready_at = least(ready_at, clock_timestamp()), leased_until = NULL
		FROM (SELECT id FROM ahead UNION ALL SELECT id FROM leased) AS recalled
		WHERE m.id = ANY(ARRAY[recalled.id])
		RETURNING m.id`), q.kind, longest, limit, resent)
	if err != nil {
		return 0, fmt.Errorf("recall messages from the future: %w", err)
	}
	return len(ids), nil
}

// leasedAhead finds leases that end farther ahead than any does. No index knows of leases, but what is leased was due,
// and is among the first.
func leasedAhead(kind, longest, from string) string {
	return fmt.Sprintf(`
		SELECT id
		FROM (
			SELECT id, lease_token, leased_until
			FROM {table}
			WHERE parked_at IS NULL AND kind = %s AND ready_at >= %s AND ready_at <= (SELECT clock_timestamp())
			ORDER BY ready_at
			LIMIT %d
		) AS due
		WHERE lease_token IS NOT NULL AND leased_until > (SELECT clock_timestamp() + %s::interval)`,
		kind, from, lookAtMost, longest)
}

// untilNext is how many seconds it is until the next message of a kind is due. Those that nobody holds are due in the
// order of the index. Where the first of them is due in the future, what is due before it is held, and becomes due by
// the end of its lease. What was due before from is not looked at, and with fresh nothing that was handed over.
func untilNext(kind, alone, fresh, from string) string {
	which := `parked_at IS NULL AND kind = ` + kind + ` AND ready_at >= ` + from + ` AND (` + alone + ` OR NOT suspect)
		AND (NOT ` + fresh + ` OR sends = 0)`
	return `(
		SELECT extract(epoch FROM least(
			first.at,
			CASE WHEN (first.at <= first.now) IS NOT TRUE THEN (
				SELECT min(least(leased_until, first.now + interval '1 year'))
				FROM {table}
				WHERE ` + which + ` AND ready_at <= (SELECT clock_timestamp()) AND ` + held + `
			) END) - first.now)::float8
		FROM (
			SELECT clock_timestamp() AS now, (
				SELECT least(ready_at, clock_timestamp() + interval '1 year') -- of the infinite there is no difference
				FROM {table}
				WHERE ` + which + ` AND NOT ` + held + `
				ORDER BY {table}.ready_at
				LIMIT 1
			) AS at
			OFFSET 0
		) AS first
	)`
}

// NextDue returns how long it is until the next message is due: zero or less when one is due now, false when there is
// none at all. Messages that must be delivered alone count if alone is 1: a caller that may not claim them need not
// wait for them. With fresh those that were handed over do not. Those that were due before from do not; zero: all do.
func (q *Queue) NextDue(
	ctx context.Context, alone int, fresh bool, from time.Time,
) (time.Duration, bool, error) {
	found, err := collect[struct{ Next *float64 }](ctx, q.pool,
		q.table.sql(`SELECT `+untilNext(`$1`, `$2 > 0`, `$3`, `$4`)+` AS next`),
		q.kind, alone, fresh, orBeginning(from))
	if err != nil {
		return 0, false, fmt.Errorf("find the next message due: %w", err)
	}
	if found[0].Next == nil {
		return 0, false, nil
	}
	return seconds(*found[0].Next), true, nil
}

// Sight is what there is to be done about the messages of a kind.
type Sight struct {
	Kind   string
	Next   *float64 // seconds until the next message is due, 0 or less: one is; nil: there is none that is not parked
	Late   bool     // a parked message is past its ExpiresAt
	Future bool     // a message is to wait for longer than any may
	Told   bool     // others were told that there is nothing to do

	// At is when it was looked, and First since when the first message is due that is not parked, held or not; nil: no
	// message is. Both are by the database's clock.
	At    time.Time
	First *time.Time
}

// looked is the wake-up that tells of a look at an outbox which had nothing to do: it need not be looked at again soon.
const looked = "LOOKED"

// Look looks at the messages of several kinds with one statement. longest is the longest that any may wait. With tell,
// whoever listens is told by the same statement when there is nothing to do.
func (t Table) Look(
	ctx context.Context, pool *pgxpool.Pool, longest time.Duration, tell bool, kinds ...string,
) ([]Sight, error) {
	return t.lookFrom(ctx, pool, view{
		kinds: kinds, from: make([]time.Time, len(kinds)), longest: longest, resent: longest, tell: tell,
	})
}

// view is what a look looks at: those messages of each kind that are due since a time or later, or are parked.
type view struct {
	kinds    []string
	from     []time.Time   // for each kind
	longest  time.Duration // that any may wait
	resent   time.Duration // that one may wait that was handed over
	tell     bool          // whoever listens, when there is nothing to do
	patience time.Duration // when the server ends it; 0: when it ends any other statement
}

// lookFrom is Look for a part of the outbox.
func (t Table) lookFrom(ctx context.Context, pool *pgxpool.Pool, v view) ([]Sight, error) {
	since := make([]pgtype.Timestamptz, len(v.from))
	for i, at := range v.from {
		since[i] = orBeginning(at)
	}
	rows, err := pg.QueryPatiently(ctx, pool, v.patience, `
		SELECT seen.*, CASE
			WHEN $3 AND row_number() OVER () = 1 AND NOT bool_or(next IS NOT NULL OR late OR future) OVER ()
			THEN pg_notify('`+Channel+`', '`+looked+`') IS NOT NULL
			ELSE false END AS told
		FROM (`+t.look()+`) AS seen`, v.kinds, v.longest, v.tell, since, v.resent)
	if err != nil {
		return nil, fmt.Errorf("look at the outbox: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Sight])
	if err != nil {
		return nil, fmt.Errorf("look at the outbox: %w", err)
	}
	return found, nil
}

// look is the statement of Look, without the telling. What was deleted before the first message is passed over once.
func (t Table) look() string {
	return t.sql(`
		SELECT k.kind, ` + untilNext(`k.kind`, `true`, `false`, `k.first`) + ` AS next,
			EXISTS (
				SELECT
				FROM {table}
				WHERE parked_at IS NOT NULL AND kind = k.kind AND expires_at <= (SELECT clock_timestamp())
			) AS late,
			EXISTS (
				SELECT
				FROM (
					SELECT ready_at, sends
					FROM {table}
					WHERE parked_at IS NULL AND kind = k.kind AND ready_at > (SELECT clock_timestamp() + $2::interval)
					ORDER BY ready_at DESC
					LIMIT ` + strconv.Itoa(lookAtMost) + `
				) AS ahead
				WHERE sends = 0 OR ready_at > (SELECT clock_timestamp() + $5::interval)
			) OR EXISTS (
				` + leasedAhead(`k.kind`, `$2`, `k.first`) + `
			) AS future,
			statement_timestamp() AS at,
			CASE WHEN k.first <= statement_timestamp() THEN k.first END AS first
		FROM (
			SELECT kind, (
				SELECT ready_at
				FROM {table}
				WHERE parked_at IS NULL AND kind = wanted.kind AND ready_at >= since
				ORDER BY ready_at
				LIMIT 1
			) AS first
			FROM unnest($1::text[], $4::timestamptz[]) AS wanted (kind, since)
			OFFSET 0
		) AS k`)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func collect[T any](ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) ([]T, error) {
	rows, err := pg.Query(ctx, pool, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}
