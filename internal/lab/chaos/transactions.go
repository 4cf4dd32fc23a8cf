package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/rules"
	"hosho/internal/wait"
)

// oldest is how old a transaction of a daemon may become. Ten seconds after its client fell silent the server ends it.
const oldest = 15 * time.Second

// watchTransactions looks for transactions that stand open, until ctx ends. While a database is away there are none.
func (r *run) watchTransactions(ctx context.Context) {
	for wait.For(ctx, time.Second) {
		for _, pool := range []*pgxpool.Pool{r.orders, r.payments} {
			bounded, cancel := context.WithTimeout(ctx, time.Second)
			if stale, err := staleTransactions(bounded, pool, oldest); err == nil {
				r.violated(stale...)
			}
			cancel()
		}
	}
}

// staleTransactions leaves out those that wait for somebody's lock: whoever holds it is found by himself, or is the
// experiment, and a transaction that got its lock late is given its time from then on. And those whose COMMIT waits for
// a standby that is away: nobody may end that. A session that is idle has none: one that hears a wake-up is in one of
// its own for a moment, which to the server is as old as its LISTEN.
func staleTransactions(ctx context.Context, pool *pgxpool.Pool, oldest time.Duration) ([]Violation, error) {
	rows, _ := pool.Query(ctx, `
		SELECT application_name, pid, state, extract(epoch FROM clock_timestamp() - xact_start)::float8,
			regexp_replace(query, '\s+', ' ', 'g')
		FROM pg_stat_activity
		WHERE split_part(application_name, ' ', 1) IN ('orderd', 'paymentd', 'relay')
			AND xact_start < clock_timestamp() - $1::interval
			AND state_change < clock_timestamp() - $1::interval
			AND state <> 'idle'
			AND wait_event_type IS DISTINCT FROM 'Lock'
			AND wait_event IS DISTINCT FROM 'SyncRep'`, oldest) // ForEachRow returns the error
	var found []Violation
	var application, state, query string
	var pid int
	var seconds float64
	_, err := pgx.ForEachRow(rows, []any{&application, &pid, &state, &seconds, &query}, func() error {
		detail := fmt.Sprintf("%s: a transaction is %.0f s old and %s (server process %d), after: %.100s",
			application, seconds, state, pid, query)
		found = append(found, Violation{rules.I21, detail})
		return nil
	})
	return found, err
}
