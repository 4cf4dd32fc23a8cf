package outbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// statements notes what is sent to the database, to have it explained.
type statements struct{ sent []pgx.TraceQueryStartData }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "outbox") {
		s.sent = append(s.sent, data)
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// explain returns the plans of the statements that f sends, with the parameters that it sends them with.
func explain(t testing.TB, db *pgtest.Database, f func(pool *pgxpool.Pool)) string {
	t.Helper()
	config := db.Pool.Config()
	noted := &statements{}
	config.ConnConfig.Tracer = noted
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	f(pool)
	if len(noted.sent) == 0 {
		t.Fatal("got no statement to explain")
	}
	var plans []string
	for _, s := range noted.sent {
		rows, err := db.Pool.Query(t.Context(), `EXPLAIN `+s.SQL, s.Args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, lines...)
	}
	return strings.Join(plans, "\n")
}

// backlog fills the outbox with 100,000 messages, of which few are due and some must go alone.
func backlog(t testing.TB, db *pgtest.Database) {
	t.Helper()
	exec(t, db, `ALTER TABLE outbox SET (autovacuum_enabled = false)`) // the test says when it is analyzed
	exec(t, db, `
		INSERT INTO outbox (key, kind, payload, expires_at, ready_at, claims)
		SELECT gen_random_uuid(), 'HELLO', 'good morning', clock_timestamp() + interval '1 hour',
			CASE WHEN n % 100 = 0 THEN clock_timestamp() ELSE clock_timestamp() + n * interval '1 second' END,
			CASE WHEN n % 5000 < 10 THEN 3 ELSE 0 END
		FROM generate_series(1, 100000) AS n`)
}

func analyze(t testing.TB, db *pgtest.Database) {
	t.Helper()
	exec(t, db, `VACUUM ANALYZE outbox`)
}

// Whether the planner knows of a large backlog, knows nothing, or believes that the outbox is as empty as it was when
// it was last analyzed: no statement of a delivery's way may read all of it. Plans are made with the parameters at
// hand, for the pools name no statements (pg.Open).
func TestNoStatementReadsTheWholeOutbox(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t testing.TB, db *pgtest.Database){
		"analyzed": func(t testing.TB, db *pgtest.Database) {
			backlog(t, db)
			analyze(t, db)
		},
		"analyzed while empty": func(t testing.TB, db *pgtest.Database) {
			analyze(t, db)
			backlog(t, db)
		},
		"never analyzed": backlog,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			prepare(t, db)
			claimed := claim(t, queue(db), 500, 1)
			inTx := func(f func(ctx context.Context, tx pgx.Tx) error) func(*pgxpool.Pool) {
				return func(pool *pgxpool.Pool) {
					err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error { return f(t.Context(), tx) })
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			var ids []int64
			var retries []Retry
			for _, m := range claimed {
				ids, retries = append(ids, m.ID), append(retries, Retry{Message: m})
			}
			on := func(pool *pgxpool.Pool) *Queue { return NewQueue(pool, greetings, "HELLO", time.Hour) }
			for _, test := range []struct {
				name    string
				send    func(pool *pgxpool.Pool)
				indexes []string
			}{
				{
					"claim", func(pool *pgxpool.Pool) { claim(t, on(pool), 500, 1) },
					[]string{"outbox_ready_of_kind", "outbox_suspect_of_kind"},
				},
				{"claim untried", func(pool *pgxpool.Pool) {
					if _, err := on(pool).ClaimUntried(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_ready_of_kind"}},
				{"expired", func(pool *pgxpool.Pool) {
					if _, err := on(pool).Expired(t.Context(), 500, 0); err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_expiring"}},
				{"recall", func(pool *pgxpool.Pool) {
					if _, err := on(pool).Recall(t.Context(), 26*time.Hour, 500); err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_ready_of_kind"}},
				{"next due", func(pool *pgxpool.Pool) {
					if _, _, err := on(pool).NextDue(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_ready_of_kind"}},
				{"release", func(pool *pgxpool.Pool) {
					if err := on(pool).Release(t.Context(), claimed); err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_pkey"}},
				{"reschedule", inTx(func(ctx context.Context, tx pgx.Tx) error {
					return greetings.Reschedule(ctx, tx, retries)
				}), []string{"outbox_pkey"}},
				{"park", inTx(func(ctx context.Context, tx pgx.Tx) error {
					return greetings.Park(ctx, tx, claimed, make([]string, len(claimed)))
				}), []string{"outbox_pkey"}},
				{"remove", inTx(func(ctx context.Context, tx pgx.Tx) error {
					return greetings.Remove(ctx, tx, ids)
				}), []string{"outbox_pkey"}},
				{"remove all", inTx(func(ctx context.Context, tx pgx.Tx) error {
					return greetings.RemoveAll(ctx, tx, keys(claimed))
				}), []string{"outbox_one_of_a_kind"}},
				{"make due", inTx(func(ctx context.Context, tx pgx.Tx) error {
					_, err := greetings.Retry(ctx, tx, claimed[0].Key, claimed[0].Kind)
					return err
				}), []string{"outbox_one_of_a_kind"}},
				{"the view of a key", func(pool *pgxpool.Pool) {
					_, err := pool.Exec(t.Context(), `
						SELECT kind, due
						FROM `+greetings.View()+` AS m
						WHERE key = $1`, claimed[0].Key)
					if err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_one_of_a_kind"}},
				{"a page of the view", func(pool *pgxpool.Pool) {
					_, err := pool.Exec(t.Context(), `
						SELECT kind, leased
						FROM `+greetings.View()+` AS m
						WHERE id > $1
						ORDER BY id
						LIMIT 100`, claimed[0].ID)
					if err != nil {
						t.Fatal(err)
					}
				}, []string{"outbox_pkey"}},
			} {
				plan := explain(t, db, test.send)
				if strings.Contains(plan, "Seq Scan on outbox") {
					t.Errorf("%s reads all of the outbox:\n%s", test.name, plan)
				}
				for _, index := range test.indexes {
					if !strings.Contains(plan, index) {
						t.Errorf("%s does not use %s:\n%s", test.name, index, plan)
					}
				}
			}
		})
	}
}
