package outbox

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// standing is the greetings' table, where workers have standing claims on what is written.
var standing = Table{Name: greetings.Name, Supersedes: true, Standing: "HELLO"}

// standingQueue is a queue of it whose leases do not end in a test, unless it moves the rows in time.
func standingQueue(db *pgtest.Database) *Queue {
	q := NewQueue(db.Pool, standing, standing.Standing, time.Hour)
	q.born = time.Hour
	return q
}

// written is messages that were written with AppendFrom.
type written struct {
	keys []string
	xid  string // of the transaction that wrote them
	news string
}

// write writes messages, and the people they are to, in one statement.
func write(t testing.TB, db *pgtest.Database, n int) (w written) {
	t.Helper()
	for _, m := range hellos(n) {
		w.keys = append(w.keys, m.Key)
	}
	type told struct {
		News, XID string
	}
	rows, err := db.Pool.Query(t.Context(), `
		WITH messages AS (
			SELECT unnest($1::uuid[]) AS key, 'HELLO' AS kind, 'good morning'::bytea AS payload,
				NULL::timestamptz AS expires, NULL AS traceparent
		), people AS (
			INSERT INTO greeted (key) SELECT unnest($1::uuid[])
		), taker AS MATERIALIZED (`+standing.TakerOf()+`
		), appended AS (`+standing.AppendFrom("messages", "taker")+`
		)
		SELECT `+standing.wordOf("taker", "cardinality($1::uuid[])")+`, pg_current_xact_id()::text`, w.keys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[told])
	if err != nil {
		t.Fatal(err)
	}
	w.xid, w.news = got.XID, got.News
	return w
}

// newKeeper makes workers that may have standing claims, one of them on greetings, which are born with a lease.
func newKeeper(t testing.TB, db *pgtest.Database, c Config, born time.Duration, g *greeter) Workers {
	t.Helper()
	c.Wakes = true
	all := NewWorkers(c, db.Pool, standing, g, discard, "HELLO", "GOODBYE")
	all[0].queue.born = born
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		all.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-stopped
	})
	return all
}

func stands(t testing.TB, db *pgtest.Database, n int) {
	t.Helper()
	eventually(t, "the standing claims are made and ended", func() bool {
		return number(t, db, `SELECT count(*) FROM outbox_claims`) == n
	})
}

// A worker has a standing claim. What is written is its own from the beginning: it is delivered as it was written, by
// the transaction that wrote it and by no other.
func TestWhatIsBornWithAClaimIsDeliveredWithoutAWrite(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	settle := make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		<-settle
		return Report{Result: Decided, Code: "OK"}
	}
	all := newKeeper(t, db, patient(), time.Hour, g)
	stands(t, db, 1)
	w := write(t, db, 3)
	all.Hear(w.news)
	eventually(t, "three greetings", func() bool { return g.deliveries() == 3 })
	if got := number(t, db, `SELECT count(*) FROM outbox WHERE xmin = $1::xid`, w.xid); got != 3 {
		t.Errorf("got %d messages as they were written, want 3", got)
	}
	for _, m := range slices.Concat(g.sent...) {
		if m.Claims != 1 || *m.LeaseToken != *all[0].queue.token {
			t.Errorf("got claim %d under %s, want 1 under %s", m.Claims, *m.LeaseToken, *all[0].queue.token)
		}
	}
	close(settle)
	eventually(t, "all are settled", func() bool { return len(rows(t, db)) == 0 })
	if got := people(t, db, "HAPPY"); got != 3 {
		t.Errorf("got %d people greeted, want 3", got)
	}
}

// What a message is held against is read along with it, by the statement that reads it, and says when there is none.
func TestWhatIsHeldAgainstAMessageIsReadAlongWithIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	newGreeter(t, db)
	table := standing
	table.Along = &Along{
		Query: `SELECT g.mood FROM greeted AS g WHERE g.key = m.key OFFSET 0`,
		Into: func() (columns []any, along any) {
			mood := new(*string)
			return []any{mood}, mood
		},
	}
	q := NewQueue(db.Pool, table, "HELLO", time.Hour)
	if err := q.stand(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := write(t, db, 2)
	exec(t, db, `DELETE FROM greeted WHERE key = $1`, w.keys[1])
	news, _ := readNews(w.news)
	found, err := q.bornAt(t.Context(), []time.Time{news.at})
	if err != nil || len(found) != 2 {
		t.Fatalf("got %d messages, error %v; want 2", len(found), err)
	}
	for _, m := range found {
		mood := *m.Along.(**string)
		if there := m.Key == w.keys[0]; there != (mood != nil) {
			t.Errorf("%s: got %v along with it, want a mood of who is there alone", m.Key, mood)
		}
	}
}

// Nobody has a standing claim, or the one that has it does not renew it: what is written is anybody's.
func TestWithoutAStandingClaimAnybodyTakesWhatIsWritten(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	newGreeter(t, db)
	q := standingQueue(db)
	if w := write(t, db, 1); w.news != "HELLO" {
		t.Errorf("got news %q, want HELLO", w.news)
	}
	if err := q.stand(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `UPDATE outbox_claims SET until = clock_timestamp()`)
	write(t, db, 1)
	if got := claim(t, q, 10, 0); len(got) != 2 || got[0].Claims != 1 || got[1].Claims != 1 {
		t.Errorf("got %+v, want two messages that were claimed once", got)
	}
}

// A worker dies that has a standing claim. Another takes what was written for it when the leases are over, which count
// as claims; it ends the standing claim, says so, and keeps its own. The dead one comes back: its token fences.
func TestWhatWasWrittenForADeadWorkerIsAnothers(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	newGreeter(t, db)
	dead, other := standingQueue(db), standingQueue(db)
	if err := dead.stand(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, db, 2)
	if err := other.stand(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, other, 10, 0); len(got) != 0 {
		t.Errorf("claimed %d messages while they were held, want none", len(got))
	}
	moments := []time.Time{momentOf(t, db)}
	held, err := dead.bornAt(t.Context(), moments)
	if err != nil || len(held) != 2 {
		t.Fatalf("got %d messages, error %v, want 2", len(held), err)
	}
	exec(t, db, `UPDATE outbox SET leased_until = clock_timestamp()`)

	listening, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close(t.Context())
	if _, err := listening.Exec(t.Context(), `LISTEN `+Channel); err != nil {
		t.Fatal(err)
	}
	taken := claim(t, other, 10, 0)
	if len(taken) != 2 || taken[0].Claims != 2 {
		t.Errorf("got %+v, want two messages claimed twice", taken)
	}
	note, err := listening.WaitForNotification(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := gone + " " + nameOf(*dead.token); note.Payload != want {
		t.Errorf("told %q, want %q", note.Payload, want)
	}
	if got := text(t, db, `SELECT string_agg(token::text, ',') FROM outbox_claims`); got != *other.token {
		t.Errorf("got standing claims of %s, want of %s alone", got, *other.token)
	}

	late := messagesOf(held)
	if again, err := dead.bornAt(t.Context(), moments); err != nil || len(again) != 0 {
		t.Errorf("read %d messages that are another's, error %v", len(again), err)
	}
	if err := dead.hold(t.Context(), []int64{late[0].ID, late[1].ID}); err != nil {
		t.Error(err)
	}
	if err := dead.Release(t.Context(), late); err != nil {
		t.Error(err)
	}
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		return standing.Reschedule(ctx, tx, []Retry{{Message: late[0], Spends: true, Code: "LATE"}})
	})
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		return standing.Park(ctx, tx, parked("LATE", late[1:]...))
	})
	if err := dead.leave(t.Context()); err != nil {
		t.Error(err)
	}
	for _, got := range rows(t, db) {
		want := row{Key: got.Key, Kind: "HELLO", Payload: "good morning", Claims: 2, Leased: true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what a late worker did (-want +got):\n%s", diff)
		}
	}
}

// momentOf returns when all that is in the outbox was written.
func momentOf(t testing.TB, db *pgtest.Database) (at time.Time) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT DISTINCT ready_at FROM outbox`).Scan(&at); err != nil {
		t.Fatal(err)
	}
	return at
}

// The wake-up is lost. The worker that holds the message finds it when it looks, and needs no other claim of it.
func TestWhatNobodyWasToldOfIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	newKeeper(t, db, restless(), time.Hour, g)
	stands(t, db, 1)
	for n := range 10 {
		write(t, db, 1)
		eventually(t, "it is greeted", func() bool { return people(t, db, "HAPPY") == n+1 })
	}
	for _, m := range slices.Concat(g.sent...) {
		if m.Claims != 1 {
			t.Errorf("got claim %d, want the one that it was born with", m.Claims)
		}
	}
	if got := g.deliveries(); got != 10 {
		t.Errorf("delivered %d times, want 10", got)
	}
}

// News come late: after a look, which reads what nobody was told of. What there are news of, and what is in hand, is no
// part of that: nothing is delivered twice.
func TestWhatIsReadIsNotReadAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	newGreeter(t, db)
	q := standingQueue(db)
	if err := q.stand(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, db, 2)
	inHand, told := momentOf(t, db), []time.Time{}
	first, err := q.bornBut(t.Context(), 0, told, []int64{})
	if err != nil || len(first) != 2 {
		t.Fatalf("got %d messages, error %v, want 2", len(first), err)
	}
	write(t, db, 3)
	for name, test := range map[string]struct {
		ago     time.Duration
		moments []time.Time
		ids     []int64
		want    int
	}{
		"in hand":       {0, told, []int64{first[0].ID, first[1].ID}, 3},
		"there is news": {0, []time.Time{inHand}, []int64{}, 3},
		"too young":     {time.Second, told, []int64{}, 0},
		"all":           {0, told, []int64{}, 5},
	} {
		got, err := q.bornBut(t.Context(), test.ago, test.moments, test.ids)
		if err != nil || len(got) != test.want {
			t.Errorf("%s: got %d messages, error %v, want %d", name, len(got), err, test.want)
		}
	}
}

// An answer takes longer than the lease that messages are born with. The worker holds on to them before that is over.
func TestWhatTakesLongIsHeldOnTo(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	settle := make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		<-settle
		return Report{Result: Decided, Code: "OK"}
	}
	all := newKeeper(t, db, patient(), 3*time.Second, g)
	stands(t, db, 1)
	all.Hear(write(t, db, 2).news)
	eventually(t, "the leases are those of claims", func() bool {
		return number(t, db, `
			SELECT count(*) FROM outbox WHERE leased_until > clock_timestamp() + interval '30 minutes'`) == 2
	})
	close(settle)
	eventually(t, "all are settled", func() bool { return len(rows(t, db)) == 0 })
}

// The destination is down. What is written then is left for whoever can deliver it, and counts no claim in vain; when
// it is back, so is the standing claim.
func TestAnOpenBreakerEndsTheStandingClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	up := make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		select {
		case <-up:
			return Report{Result: Decided, Code: "OK"}
		default:
			return Report{Result: Blocked, Code: "UNAVAILABLE"}
		}
	}
	all := newKeeper(t, db, patient(), time.Hour, g)
	stands(t, db, 1)
	all.Hear(write(t, db, 5).news)
	stands(t, db, 0)
	if w := write(t, db, 1); w.news != "HELLO" {
		t.Errorf("got news %q, want HELLO", w.news)
	}
	close(up)
	eventually(t, "all are greeted", func() bool { return people(t, db, "HAPPY") == 6 })
	stands(t, db, 1)
}

// Somebody took the worker for dead. It hears of that, and has its claim again.
func TestAWorkerThatIsAliveTakesItsClaimBack(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	all := newKeeper(t, db, patient(), time.Hour, newGreeter(t, db))
	stands(t, db, 1)
	exec(t, db, `DELETE FROM outbox_claims`)
	all.Hear(gone + " " + nameOf(*standingQueue(db).token)) // another's
	all.Hear(gone + " " + nameOf(*all[0].queue.token))
	stands(t, db, 1)
}

// A worker is told to stop. What was written for it is anybody's at once, as if nobody had claimed it, and so is what
// is written from then on.
func TestAWorkerThatStopsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	newGreeter(t, db)
	w := NewWorker(patient(), standingQueue(db), &greeter{pool: db.Pool, table: standing}, discard)
	w.config.Wakes = true
	w.keeping = newKeeping(w.queue)
	stop, stopped := start(t, w)
	stands(t, db, 1)
	write(t, db, 2)
	stop()
	receive(t, "it stops", stopped)
	write(t, db, 1)
	if got := claim(t, standingQueue(db), 10, 0); len(got) != 3 || got[0].Claims != 1 {
		t.Errorf("got %+v, want three messages that were claimed once", got)
	}
}

// Where wake-ups are not heard nobody would read what is written: there is no standing claim.
func TestADeafWorkerHasNoStandingClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	c := restless()
	c.Poll = func(time.Duration) time.Duration { return c.PollInterval }
	newKeeper(t, db, c, time.Hour, g)
	write(t, db, 1)
	eventually(t, "it is greeted", func() bool { return people(t, db, "HAPPY") == 1 })
	stands(t, db, 0)
}
