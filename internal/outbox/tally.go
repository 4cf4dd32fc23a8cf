package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// Tally is how many messages of a kind the outbox holds, as far as they were counted. A message counts as exactly one
// of due, leased, waiting and parked.
type Tally struct {
	Kind    string
	Due     int64 // may be claimed now
	Leased  int64 // a worker holds them
	Waiting int64 // for their next attempt
	Parked  int64
	Oldest  time.Duration // since the oldest of those counted was appended; 0: there is none
}

// Tally counts, at one moment, the messages of each of the kinds, up to most of those that are due or leased, of those
// that wait, and of those that are parked: each in the order of its index, the longest due first. It is Backlog for
// somebody who asks often, and for whom a backlog beyond a size is as good as any larger one.
func (t Table) Tally(ctx context.Context, pool *pgxpool.Pool, most int, kinds ...string) ([]Tally, error) {
	rows, err := pg.QueryInOrder(ctx, pool, t.sql(`
		SELECT k.kind, ready.due, ready.leased + later.leased AS leased, later.waiting, aside.parked,
			greatest(k.now - least(ready.oldest, later.oldest, aside.oldest), '0') AS oldest
		FROM (
			SELECT kind, clock_timestamp() AS now FROM unnest($1::text[]) AS wanted (kind) OFFSET 0
		) AS k
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE NOT held) AS due, count(*) FILTER (WHERE held) AS leased,
				min(created_at) AS oldest
			FROM (
				SELECT created_at, (lease_token IS NOT NULL AND leased_until > k.now) IS TRUE AS held
				FROM {table}
				WHERE parked_at IS NULL AND kind = k.kind AND ready_at <= k.now
				ORDER BY ready_at
				LIMIT $2
			) AS m
		) AS ready
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE NOT held) AS waiting, count(*) FILTER (WHERE held) AS leased,
				min(created_at) AS oldest
			FROM (
				SELECT created_at, lease_token IS NOT NULL AS held
				FROM {table}
				WHERE parked_at IS NULL AND kind = k.kind AND ready_at > k.now
				ORDER BY ready_at
				LIMIT $2
			) AS m
		) AS later
		CROSS JOIN LATERAL (
			SELECT count(*) AS parked, min(created_at) AS oldest
			FROM (
				SELECT created_at
				FROM {table}
				WHERE parked_at IS NOT NULL AND kind = k.kind
				ORDER BY id
				LIMIT $2
			) AS m
		) AS aside
		ORDER BY k.kind`), kinds, most)
	if err != nil {
		return nil, fmt.Errorf("count the outbox: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Tally])
	if err != nil {
		return nil, fmt.Errorf("count the outbox: %w", err)
	}
	return found, nil
}

// DeadTuples returns how many versions of rows of the table are dead and not vacuumed yet, as the server estimates.
// Whoever claims passes over them.
func (t Table) DeadTuples(ctx context.Context, pool *pgxpool.Pool) (n int64, err error) {
	rows, err := pg.Query(ctx, pool, `
		SELECT coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = to_regclass($1)), 0)`,
		t.sql(`{table}`))
	if err == nil {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the dead rows of the outbox: %w", err)
	}
	return n, nil
}
