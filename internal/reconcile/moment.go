package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/wait"
)

// moment is what a database says of itself when it is asked.
type moment struct {
	At      time.Time // by its clock
	Writing []string  // the transactions that had written something by then, and had not ended
	// Is tells the database from itself before a restart, a failover or a restore, when what was there may have gone.
	Is string
}

// A transaction has a lock on its own number for as long as it lasts; a snapshot tells only of those below the last
// that has ended. The time comes first: whatever began to write before it, and goes on, is in the locks. One that is
// prepared has no session, and counts wherever it is.
const momentQuery = `
	SELECT statement_timestamp() AS at,
		ARRAY(SELECT transactionid::text
			FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
			WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
				AND coalesce(a.datid = here.oid, true)) AS writing,
		concat_ws(' ', pg_postmaster_start_time(), here.oid, pg_relation_filenode($1)) AS is
	FROM (SELECT oid FROM pg_database WHERE datname = current_database()) AS here`

func readMoment(ctx context.Context, pool *pgxpool.Pool, table string) (moment, error) {
	rows, err := pg.Query(ctx, pool, momentQuery, table)
	if err != nil {
		return moment{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[moment])
}

// over reports whether all have ended that were writing, as another moment knows.
func (m *moment) over(now moment) bool {
	return !slices.ContainsFunc(m.Writing, func(id string) bool { return slices.Contains(now.Writing, id) })
}

// watermark says how far back a pass has to look in a database. A time is not the order of commits: what is committed
// after a pass has begun may tell of any time before, at which its transaction was. So it is no time of which a
// transaction is left that may have written something before it.
type watermark struct {
	since time.Time // zero: everything is to be looked at
	// waits is a later moment, which will do as soon as all transactions have ended that were writing then.
	waits *moment
	is    string // the database
}

const (
	watermarkTries = 20
	watermarkPause = 50 * time.Millisecond
)

// next returns the watermark of the pass after one that begins when it returns. It waits a second for the transactions
// that are under way. When one of them is still there, that pass looks as far back as this one.
func (w watermark) next(ctx context.Context, pool *pgxpool.Pool, table string) (watermark, error) {
	first, err := readMoment(ctx, pool, table)
	if err != nil {
		return watermark{}, err
	}
	if first.Is != w.is {
		w = watermark{is: first.Is}
	}
	for now, tries := first, 0; ; tries++ {
		switch {
		case now.Is != first.Is:
			return watermark{is: now.Is}, nil
		case first.over(now):
			return watermark{since: first.At, is: now.Is}, nil
		case w.waits == nil:
			w.waits = &first
		case w.waits.over(now):
			w.since, w.waits = w.waits.At, &first
		}
		if tries == watermarkTries {
			return w, nil
		}
		if !wait.For(ctx, watermarkPause) {
			return watermark{}, ctx.Err()
		}
		if now, err = readMoment(ctx, pool, table); err != nil {
			return watermark{}, err
		}
	}
}
