package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Holders know who keeps vacuum from taking dead rows away, as far as whoever asks may see it, and since when.
//
// Anybody may see which transactions a session, a prepared transaction or a replication slot still needs. But when a
// transaction of another role began, PostgreSQL tells only whom it lets read all statistics, and of a slot it never
// tells. Of those it is remembered since when they were seen, so that their age is too small by as much as it took to
// look at them first, and no role needs a right for it.
type Holders struct {
	seen map[string]time.Time // since when, those of whom nobody tells it, by who they are
}

// holdersQuery returns all that need something which is older than the next transaction: where nothing is written
// nothing is held. A session is its transaction, by its virtual id, so that one which reads again and again is not
// taken for one that reads all the time. Autovacuum has no user, and holds nobody up. One that is idle is handling what
// it hears by LISTEN, and its transaction would be as old as its last statement: so nobody tells that either.
const holdersQuery = `
	SELECT 'session ' || coalesce((
				SELECT virtualxid
				FROM pg_locks
				WHERE pg_locks.pid = a.pid AND locktype = 'virtualxid' AND granted
				LIMIT 1
			), a.pid || ' ' || coalesce(a.backend_xmin, a.backend_xid)::text),
		CASE WHEN a.state <> 'idle' THEN extract(epoch FROM clock_timestamp() - a.xact_start)::float8 END
	FROM pg_stat_activity AS a
	WHERE greatest(age(a.backend_xmin), age(a.backend_xid)) > 0 AND a.usesysid IS NOT NULL
		AND (a.datname = current_database() OR a.datid IS NULL) AND a.pid <> pg_backend_pid()
	UNION ALL
	SELECT 'prepared ' || transaction::text, extract(epoch FROM clock_timestamp() - prepared)::float8
	FROM pg_prepared_xacts
	WHERE database = current_database() AND age(transaction) > 0
	UNION ALL
	SELECT 'slot ' || slot_name || ' ' || xmin::text, NULL
	FROM pg_replication_slots
	WHERE age(xmin) > 0`

// Oldest returns how long what is held the longest has been held, 0 when nothing is. One asks at a time.
func (h *Holders) Oldest(
	ctx context.Context, pool *pgxpool.Pool, patience time.Duration,
) (oldest time.Duration, err error) {
	rows, err := QueryPatiently(ctx, pool, patience, holdersQuery)
	if err != nil {
		return 0, fmt.Errorf("look for old snapshots: %w", err)
	}
	now, seen := time.Now(), map[string]time.Time{}
	var who string
	var told *float64 // seconds; nil: nobody says
	_, err = pgx.ForEachRow(rows, []any{&who, &told}, func() error {
		age := time.Duration(0)
		if told != nil {
			age = time.Duration(*told * float64(time.Second))
		} else {
			seen[who] = now
			if before, known := h.seen[who]; known {
				seen[who] = before
			}
			age = now.Sub(seen[who])
		}
		oldest = max(oldest, age)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for old snapshots: %w", err)
	}
	h.seen = seen
	return oldest, nil
}
