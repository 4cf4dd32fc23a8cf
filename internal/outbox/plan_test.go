package outbox

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// explained is a connection as the daemons have them, over which plans are made and kept, and the plans by which
// statements about the outbox were executed since they were asked for last: the server tells them.
func explained(t testing.TB, db *pgtest.Database) (pool *pgxpool.Pool, plans func() string) {
	t.Helper()
	config := db.Pool.Config()
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["options"] = "-c session_preload_libraries=auto_explain " +
		"-c auto_explain.log_min_duration=0 -c auto_explain.log_level=warning -c auto_explain.log_analyze=on " +
		"-c auto_explain.log_timing=off -c auto_explain.log_buffers=on"
	var told strings.Builder
	before := config.BeforeConnect
	config.BeforeConnect = func(ctx context.Context, config *pgx.ConnConfig) error {
		err := before(ctx, config)
		onNotice := config.OnNotice
		config.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
			if strings.Contains(n.Message, "outbox") {
				told.WriteString(n.Message + "\n")
			}
			onNotice(conn, n)
		}
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, func() string {
		defer told.Reset()
		return told.String()
	}
}

// read returns how many rows of the outbox, or of its indexes, were looked at by a plan.
func read(t testing.TB, plan string) (rows int) {
	t.Helper()
	number := func(text string) int {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	for _, node := range lookedAt.FindAllStringSubmatch(plan, -1) {
		if node[3] != "" { // by a filter
			rows += number(node[3])
			continue
		}
		rows += number(node[1]) * number(node[2])
	}
	return rows
}

var lookedAt = regexp.MustCompile(
	`Scan[^\n]* on outbox[^\n]*\(actual rows=([\d.]+) loops=(\d+)\)|Rows Removed by Filter: (\d+)`)

// backlog fills the outbox with 30,000 messages, of which few are due and some must go alone.
func backlog(t testing.TB, db *pgtest.Database) {
	t.Helper()
	exec(t, db, `
		INSERT INTO outbox (key, kind, payload, expires_at, ready_at, claims)
		SELECT gen_random_uuid(), 'HELLO', 'good morning', clock_timestamp() + interval '1 hour',
			CASE WHEN n % 100 = 0 THEN clock_timestamp() ELSE clock_timestamp() + n * interval '1 second' END,
			CASE WHEN n % 5000 < 10 THEN 3 ELSE 0 END
		FROM generate_series(1, 30000) AS n`)
}

func analyze(t testing.TB, db *pgtest.Database) {
	t.Helper()
	exec(t, db, `VACUUM ANALYZE outbox`)
}

// sending is a way to send statements about the outbox, and the indexes that are to lead to its rows.
type sending struct {
	name    string
	send    func(t testing.TB, pool *pgxpool.Pool, claimed []Message)
	indexes []string
}

// within sends within a transaction.
func within(
	f func(ctx context.Context, tx pgx.Tx, claimed []Message) error,
) func(testing.TB, *pgxpool.Pool, []Message) {
	return func(t testing.TB, pool *pgxpool.Pool, claimed []Message) {
		t.Helper()
		err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error { return f(t.Context(), tx, claimed) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// queued sends over a Queue.
func queued(
	f func(ctx context.Context, q *Queue, claimed []Message) error,
) func(testing.TB, *pgxpool.Pool, []Message) {
	return func(t testing.TB, pool *pgxpool.Pool, claimed []Message) {
		t.Helper()
		if err := f(t.Context(), NewQueue(pool, greetings, "HELLO", time.Hour), claimed); err != nil {
			t.Fatal(err)
		}
	}
}

var sendings = []sending{
	{"claim", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, err := q.Claim(ctx, 500, 1)
		return err
	}), []string{"outbox_ready_of_kind", "outbox_suspects"}},
	{"claim untried", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, err := q.claim(ctx, ask{limit: 1, untried: true})
		return err
	}), []string{"outbox_ready_of_kind"}},
	{"expired", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, _, err := q.Expired(ctx, 500, place{})
		return err
	}), []string{"outbox_ready_of_kind", "outbox_parked"}},
	{"recall", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, err := q.Recall(ctx, 26*time.Hour, 26*time.Hour, 500)
		return err
	}), []string{"outbox_ready_of_kind"}},
	{"next due", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, _, err := q.NextDue(ctx, 1, false, time.Time{})
		return err
	}), []string{"outbox_ready_of_kind"}},
	{"look", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, err := q.table.Look(ctx, q.pool, 26*time.Hour, false, "HELLO", "GOODBYE")
		return err
	}), []string{"outbox_ready_of_kind", "outbox_parked"}},
	{"tally", queued(func(ctx context.Context, q *Queue, _ []Message) error {
		_, err := q.table.Tally(ctx, q.pool, 500, "HELLO", "GOODBYE")
		return err
	}), []string{"outbox_ready_of_kind", "outbox_parked"}},
	{"release", queued(func(ctx context.Context, q *Queue, claimed []Message) error {
		return q.Release(ctx, claimed)
	}), []string{"outbox_pkey"}},
	{"reschedule", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		var retries []Retry
		for _, m := range claimed {
			retries = append(retries, Retry{Message: m})
		}
		return greetings.Reschedule(ctx, tx, retries)
	}), []string{"outbox_pkey"}},
	{"park", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		return greetings.Park(ctx, tx, parked("", claimed...))
	}), []string{"outbox_pkey"}},
	{"hand over", queued(func(ctx context.Context, q *Queue, claimed []Message) error {
		var handed []Handed
		for _, m := range claimed {
			handed = append(handed, Handed{Message: m})
		}
		return q.table.HandOver(ctx, q.pool, handed)
	}), []string{"outbox_pkey"}},
	{"lock", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		var keys []string
		for _, m := range claimed {
			keys = append(keys, m.Key)
		}
		_, err := greetings.Lock(ctx, tx, keys)
		return err
	}), []string{"outbox_one_of_a_kind"}},
	{"remove", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		var ids []int64
		for _, m := range claimed {
			ids = append(ids, m.ID)
		}
		return greetings.Remove(ctx, tx, ids)
	}), []string{"outbox_pkey"}},
	{"remove all", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		return greetings.RemoveAll(ctx, tx, keys(claimed))
	}), []string{"outbox_one_of_a_kind"}},
	{"make due", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		_, err := greetings.Retry(ctx, tx, claimed[0].Key, claimed[0].Kind)
		return err
	}), []string{"outbox_one_of_a_kind"}},
	{"hold", queued(func(ctx context.Context, q *Queue, claimed []Message) error {
		ids, _ := leases(claimed)
		return q.hold(ctx, ids)
	}), []string{"outbox_pkey"}},
	{"the view of a key", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		_, err := tx.Exec(ctx, `
			SELECT kind, due
			FROM `+greetings.View()+` AS m
			WHERE key = $1`, claimed[0].Key)
		return err
	}), []string{"outbox_one_of_a_kind"}},
	{"a page of the view", within(func(ctx context.Context, tx pgx.Tx, claimed []Message) error {
		_, err := tx.Exec(ctx, `
			SELECT kind, leased
			FROM `+greetings.View()+` AS m
			WHERE id > $1
			ORDER BY id
			LIMIT 100`, claimed[0].ID)
		return err
	}), []string{"outbox_pkey"}},
}

// nobody is what nothing in the outbox is about.
var nobody = []Message{{ID: 1, Key: uuid.NewString(), Kind: "HELLO", LeaseToken: new(uuid.NewString())}}

// Plans are made once for a connection, without their parameters, and kept. Whether the planner knew of a large backlog
// then, knew nothing, believed that the outbox was as empty as when it was last analyzed, or was right about that: no
// statement of a delivery's way may read all of it.
func TestNoStatementReadsTheWholeOutbox(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t testing.TB, db *pgtest.Database, plan func()){
		"analyzed": func(t testing.TB, db *pgtest.Database, _ func()) {
			backlog(t, db)
			analyze(t, db)
		},
		"analyzed while empty": func(t testing.TB, db *pgtest.Database, _ func()) {
			analyze(t, db)
			backlog(t, db)
		},
		"never analyzed": func(t testing.TB, db *pgtest.Database, _ func()) { backlog(t, db) },
		"planned while empty": func(t testing.TB, db *pgtest.Database, plan func()) {
			plan()
			backlog(t, db)
		},
		"analyzed and planned while empty": func(t testing.TB, db *pgtest.Database, plan func()) {
			analyze(t, db)
			plan()
			backlog(t, db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			// The test says when it is analyzed. What is changed about the table later has its plans made anew.
			exec(t, db, `ALTER TABLE outbox SET (autovacuum_enabled = false)`)
			pool, plans := explained(t, db)
			prepare(t, db, func() {
				for _, s := range sendings {
					s.send(t, pool, nobody)
				}
			})
			claimed := claim(t, queue(db), 500, 1)
			for _, s := range sendings {
				plans()
				s.send(t, pool, claimed)
				plan := plans()
				if strings.Contains(plan, "Seq Scan on outbox") || strings.Contains(plan, "Heap Scan on outbox") {
					t.Errorf("%s reads all of the outbox:\n%s", s.name, plan)
				}
				if got := read(t, plan); got > 3000 {
					t.Errorf("%s looks at %d rows of the outbox, want few:\n%s", s.name, got, plan)
				}
				for _, index := range s.indexes {
					if !strings.Contains(plan, index) {
						t.Errorf("%s does not use %s:\n%s", s.name, index, plan)
					}
				}
			}
		})
	}
}
