package outbox

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// pages returns how many pages were looked at by plans.
func pages(t testing.TB, plans string) (sum int) {
	t.Helper()
	for plan := range strings.SplitSeq(plans, "Query Text:") {
		topmost := lookedInto.FindStringSubmatch(plan) // counts what is below, too
		if topmost == nil {
			continue
		}
		n, err := strconv.Atoi(topmost[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

var lookedInto = regexp.MustCompile(`Buffers: shared hit=(\d+)`)

// keyed are the statements that know what they look for.
var keyed = []string{"release", "reschedule", "park", "remove", "remove all", "make due", "the view of a key", "hold"}

// Somebody keeps an old snapshot, and nothing can be vacuumed that was settled since: of a large table the planner is
// told that it has hardly a row. What knows what it looks for finds it all the same. Once what was born with a claim
// was looked for among all that had ever been written: the planner took "one of these moments" for too dear.
func TestWhatIsKnownIsFoundPastWhatIsDead(t *testing.T) {
	t.Parallel()
	for _, few := range []int{0, 10} {
		db := pgtest.Orders(t)
		newGreeter(t, db)
		exec(t, db, `ALTER TABLE outbox SET (autovacuum_enabled = false)`)
		snapshot, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = snapshot.Rollback(context.WithoutCancel(t.Context())) }) // it may have ended
		if _, err := snapshot.Exec(t.Context(), `SELECT count(*) FROM outbox`); err != nil {
			t.Fatal(err)
		}
		exec(t, db, `
			INSERT INTO outbox (key, kind, payload, ready_at)
			SELECT gen_random_uuid(), 'HELLO', 'good morning', clock_timestamp() - interval '1 minute'
			FROM generate_series(1, 30000)`)
		exec(t, db, `DELETE FROM outbox`)

		pool, plans := explained(t, db)
		born := standingQueue(db)
		born.pool, born.born = pool, 30*time.Second
		if err := born.stand(t.Context()); err != nil {
			t.Fatal(err)
		}
		if few > 0 {
			write(t, db, few)
		}
		exec(t, db, `ANALYZE outbox`)
		news, _ := readNews(write(t, db, 5).news)
		plans()
		found, err := born.bornAt(t.Context(), []time.Time{news.at, news.at.Add(-time.Millisecond)})
		if err != nil || len(found) != 5 {
			t.Fatalf("got %d messages, error %v; want 5", len(found), err)
		}
		bounded := func(what string) {
			if plan := plans(); pages(t, plan) > 500 {
				t.Errorf("%s: looks into %d pages, analyzed with %d rows:\n%s", what, pages(t, plan), few, plan)
			}
		}
		bounded("born at")
		if all, err := born.bornBut(t.Context(), 0, []time.Time{}, []int64{}); err != nil || len(all) != few+5 {
			t.Fatalf("got %d messages, error %v; want %d", len(all), err, few+5)
		}
		bounded("born but")
		q := queue(db)
		q.pool = pool
		for what, look := range map[string]func() error{
			"look": func() error {
				_, err := q.table.lookFrom(t.Context(), pool, view{
					kinds: []string{q.kind}, from: []time.Time{news.at}, longest: time.Hour,
				})
				return err
			},
			"next due": func() error {
				_, _, err := q.NextDue(t.Context(), 1, false, news.at)
				return err
			},
			"expired": func() error {
				_, _, err := q.Expired(t.Context(), 10, place{ready: news.at})
				return err
			},
			"claim": func() error {
				_, err := q.claim(t.Context(), ask{limit: 10, alone: 1, from: news.at})
				return err
			},
		} {
			if err := look(); err != nil {
				t.Fatal(err)
			}
			bounded(what)
		}
		for _, s := range sendings {
			if slices.Contains(keyed, s.name) {
				s.send(t, pool, messagesOf(found))
				bounded(s.name)
			}
		}
		if err := born.leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		bounded("leave")
	}
}
