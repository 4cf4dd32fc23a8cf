package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
)

// Messages are appended, claimed and settled as under load, batch by batch. No index hears of a claim: every new
// version of a row has its place on the row's page.
func TestAClaimChangesNoIndex(t *testing.T) {
	t.Parallel()
	const batches, batch = 12, 160
	db := pgtest.Orders(t)
	pool, err := pgxpool.NewWithConfig(t.Context(), db.Pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	q := NewQueue(pool, greetings, "HELLO", time.Hour)
	for range batches {
		put(t, db, hellos(batch)...)
		var ids []int64
		for _, m := range claim(t, q, batch, 1) {
			ids = append(ids, m.ID)
		}
		inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Remove(ctx, tx, ids) })
	}
	pool.Close() // a session that ends has told what it counted
	const counted = ` FROM pg_stat_user_tables WHERE relname = 'outbox'`
	eventually(t, "the claims are counted", func() bool {
		return number(t, db, `SELECT n_tup_upd`+counted) == batches*batch
	})
	if got := number(t, db, `SELECT n_tup_hot_upd`+counted); got != batches*batch {
		t.Errorf("got %d of %d claims on the row's own page, want all", got, batches*batch)
	}
}

// before is what a relay of the release before knows: a claim moves ready_at to the end of its lease, and so does a
// reschedule to the next try.
type before struct{ db *pgtest.Database }

func (b before) claim(t testing.TB) (claimed int, token string) {
	t.Helper()
	token = uuid.NewString()
	return number(t, b.db, `
		WITH due AS (
			SELECT id
			FROM outbox
			WHERE parked_at IS NULL AND ready_at <= clock_timestamp() AND claims - answers < 3 AND kind = 'HELLO'
			ORDER BY ready_at
			FOR UPDATE SKIP LOCKED
		), taken AS (
			UPDATE outbox AS m
			SET lease_token = $1, claims = claims + 1, ready_at = clock_timestamp() + interval '1 hour'
			FROM due
			WHERE m.id = due.id
			RETURNING m.id
		)
		SELECT count(*) FROM taken`, token), token
}

func (b before) reschedule(t testing.TB, token string) {
	t.Helper()
	exec(t, b.db, `
		UPDATE outbox
		SET lease_token = NULL, ready_at = clock_timestamp(), answers = answers + 1, last_code = 'BEFORE'
		WHERE lease_token = $1`, token)
}

// What a relay of the release before holds is left to it until its lease is over.
func TestALeaseOfTheReleaseBeforeIsRespected(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	if n, _ := (before{db}).claim(t); n != 1 {
		t.Fatalf("the release before claimed %d messages, want 1", n)
	}
	if got := claim(t, queue(db), 10, 1); len(got) != 0 {
		t.Errorf("claimed %+v, want none: the release before holds it", got)
	}
	d, any, err := queue(db).NextDue(t.Context(), 1, false, time.Time{})
	if err != nil || !any || d < time.Minute || d > time.Hour {
		t.Errorf("next due: got %v, %v, error %v, want within the hour", d, any, err)
	}
	backlog, err := greetings.Backlog(t.Context(), db.Pool)
	if err != nil || len(backlog) != 1 || backlog[0].Waiting != 1 {
		t.Errorf("backlog: got %+v, error %v, want one that waits", backlog, err)
	}
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp()`)
	if got := claimOne(t, queue(db)); got.Claims != 2 {
		t.Errorf("got claim %d, want the second: the lease of the release before is over", got.Claims)
	}
}

// A relay of the release before knows nothing of the lease, and takes the message. Then it is twice on its way, as
// after any lease: the token is that of the latest claim, and the other one reschedules nothing.
func TestTheReleaseBeforeMayTakeWhatIsHeld(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	mine := claimOne(t, queue(db))
	_, token := before{db}.claim(t)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		return greetings.Reschedule(ctx, tx, []Retry{{Message: mine, Delay: time.Hour, Code: "MINE"}})
	})
	if err := queue(db).Release(t.Context(), []Message{mine}); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, db); got[0].Claims != 2 || !got[0].Leased || got[0].LastCode != "" {
		t.Errorf("got %+v, want it held by the second claim", got[0])
	}
	before{db}.reschedule(t, token)
	if got := claimOne(t, queue(db)); got.Claims != 3 || got.Answers != 1 {
		t.Errorf("got claim %d and %d answers, want the third and one: what the lease left behind counts no more",
			got.Claims, got.Answers)
	}
}

// Two messages kill every worker that takes them up. The lease of one is over before the other's. Both have their turn
// alone, and neither keeps the other, or a third one that does no harm, from it.
func TestNoSuspectKeepsAnotherWaiting(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(3)...)
	exec(t, db, `UPDATE outbox SET claims = 3, ready_at = clock_timestamp() - (10 - id) * interval '1 hour'`)
	q := NewQueue(db.Pool, greetings, "HELLO", time.Microsecond)
	times := map[string]int{}
	for range 9 {
		times[claimOne(t, q).Key]++
	}
	for key, n := range times {
		if n != 3 {
			t.Errorf("%s went alone %d times of 9, want 3 of each", key, n)
		}
	}
}
