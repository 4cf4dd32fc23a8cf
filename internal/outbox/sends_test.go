package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// sent is what a test wants to know of a row that was handed over.
type sent struct{ Claims, Answers, Sends, Refused, Attempts int }

func sentOf(t testing.TB, db *pgtest.Database, key string) (s sent) {
	t.Helper()
	err := db.Pool.QueryRow(t.Context(), `
		SELECT claims, answers, sends, refused, attempts FROM outbox WHERE key = $1`, key,
	).Scan(&s.Claims, &s.Answers, &s.Sends, &s.Refused, &s.Attempts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// handOver hands messages over, to be again after a wait.
func handOver(t testing.TB, db *pgtest.Database, wait time.Duration, messages ...Message) {
	t.Helper()
	handed := make([]Handed, len(messages))
	for i, m := range messages {
		handed[i] = Handed{Message: m, Delay: wait, Code: "HANDED_OVER"}
	}
	if err := greetings.HandOver(t.Context(), db.Pool, handed); err != nil {
		t.Fatal(err)
	}
}

// A message is handed over, and nothing comes of it. That is no claim that was lost with its worker, and no answer:
// however often it happens, it is claimed among the others, and where a worker did die over it, that is counted still.
func TestAHandOverMovesTheNextSendAndIsNeitherClaimNorAnswer(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	claimOne(t, queue(db)) // by a worker that dies
	for n := 1; n <= 5; n++ {
		leasesEnd(t, db)
		c := claimOne(t, queue(db))
		if c.Alone || c.Sends != n-1 || c.Claims != 2 {
			t.Errorf("send %d: got %+v, want it among the others, with so many sends before, at its second claim", n, c)
		}
		handOver(t, db, time.Hour, c)
		if got, want := sentOf(t, db, m.Key), (sent{Claims: 1, Sends: n}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := rows(t, db)[0]; got.Leased || got.Due || got.LastCode != "HANDED_OVER" {
			t.Errorf("got %+v, want nobody to hold it, and it to wait", got)
		}
	}
}

func TestAHandOverIsTheLeasesOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(3)...)
	late := claim(t, queue(db), 10, 1)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Remove(ctx, tx, []int64{late[0].ID}) })
	leasesEnd(t, db)
	if again := claim(t, queue(db), 1, 1); again[0].ID != late[1].ID {
		t.Fatalf("claimed %+v, want the second", again)
	}
	want := rows(t, db)[0]
	handOver(t, db, time.Hour, late...)
	got := rows(t, db)
	if len(got) != 2 || got[0] != want || sentOf(t, db, late[1].Key).Sends != 0 {
		t.Errorf("got %+v, want what is settled gone, and another's lease as it was: %+v", got, want)
	}
	if got := sentOf(t, db, late[2].Key); got != (sent{Sends: 1}) {
		t.Errorf("got %+v, want the one that nobody took handed over", got)
	}
	handOver(t, db, time.Hour, late...) // it may not have been heard that it was written
	if got := sentOf(t, db, late[2].Key); got != (sent{Sends: 1}) {
		t.Errorf("got %+v, want it handed over once", got)
	}
}

// Somebody settles the message meanwhile: whoever hands it over does not wait for that.
func TestAHandOverWaitsForNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	c := claimOne(t, queue(db))
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := greetings.Lock(ctx, tx, []string{m.Key})
		handOver(t, db, time.Hour, c)
		return err
	})
	if got := sentOf(t, db, m.Key); got != (sent{Claims: 1}) {
		t.Errorf("got %+v, want it as it was", got)
	}
}

// A worker hands messages over, again and again, until somebody settles them.
func TestWhatIsHandedOverIsHandedOverAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	m := hello()
	g.meet(t, db, m)
	g.answer = func(context.Context, Message) Report { return Report{Result: HandedOver, Code: "HANDED_OVER"} }
	c := patient() // nobody looks but when a send is due
	c.Resend = func(sends int) time.Duration { return time.Duration(sends) * time.Millisecond }
	w := newWorker(db, c, g)
	start(t, w)
	eventually(t, "it is handed over four times", func() bool { return sentOf(t, db, m.Key).Sends >= 4 })
	if got := rows(t, db)[0]; got.Attempts != 0 || got.Answers != 0 || got.Claims > 1 {
		t.Errorf("got %+v, want no claim but one that is under way, and no answer", got)
	}
}

// No outcome comes. What was handed over is handed over again one a second, each another, and what is new at once. When
// one comes, all that is due goes.
func TestWhileItIsQuietOneASecondIsHandedOverAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(10)...)
	handOver(t, db, -time.Minute, claim(t, queue(db), 10, 0)...)
	put(t, db, hellos(2)...)
	quiet := true
	c := patient()
	c.Quiet = func() bool { return quiet }
	w := newWorker(db, c, &greeter{table: greetings})
	now := time.Now()
	claims := func() (fresh, again []string) {
		t.Helper()
		found, err := w.claim(t.Context(), permit{limit: 100, alone: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			if m.Sends == 0 {
				fresh = append(fresh, m.Key)
			} else {
				again = append(again, m.Key)
			}
		}
		return fresh, again
	}
	fresh, first := claims()
	if len(fresh) != 2 || len(first) != 1 {
		t.Errorf("got %d new ones and %d again, want both and one", len(fresh), len(first))
	}
	if fresh, again := claims(); len(fresh)+len(again) != 0 || w.resends.due(now) {
		t.Errorf("got %d and %d at once, want none for a second", len(fresh), len(again))
	}
	put(t, db, hello())
	if fresh, again := claims(); len(fresh) != 1 || len(again) != 0 {
		t.Errorf("got %d new ones and %d again, want the new one at once", len(fresh), len(again))
	}
	w.resends.next = time.Now()
	if !w.resends.due(time.Now()) {
		t.Error("the worker would sleep on when a second is over")
	}
	if fresh, again := claims(); len(fresh) != 0 || len(again) != 1 || again[0] == first[0] {
		t.Errorf("got %d new ones and %v again, want one, and not %v", len(fresh), again, first)
	}
	quiet = false
	if _, again := claims(); len(again) != 8 {
		t.Errorf("got %d when outcomes came, want the other 8", len(again))
	}
}

// What is new cannot be claimed, as when it lies behind so much else that the database takes longer than a claim may.
// That is no reason to hand nothing over again: an outcome of that would mend it.
func TestWhileWhatIsNewCannotBeClaimedResendsGoOn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	handOver(t, db, -time.Minute, claim(t, queue(db), 1, 0)...)
	put(t, db, hello())
	for _, sql := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not in time'; END $$`,
		`CREATE TRIGGER refuse BEFORE UPDATE ON outbox
			FOR EACH ROW WHEN (NEW.sends = 0) EXECUTE FUNCTION refuse()`,
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	c := patient()
	c.Quiet = func() bool { return true }
	w := newWorker(db, c, &greeter{table: greetings})
	found, err := w.claim(t.Context(), permit{limit: 100, alone: 1})
	if err != nil || len(found) != 1 || found[0].Sends == 0 {
		t.Errorf("got %+v (%v), want what was handed over", found, err)
	}
	if !w.something() {
		t.Error("the worker would rest, and nobody told that what is new is not claimed")
	}
	if _, err := w.claim(t.Context(), permit{limit: 100, alone: 1}); err == nil {
		t.Error("the next claim says nothing of it")
	}
}

// The longest wait of what was handed over is another than that of what is tried again: it is not one of a clock that
// was set back, whichever way the relay delivers that finds it.
func TestWhatWasHandedOverMayWaitLonger(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(2)...)
	messages := claim(t, queue(db), 10, 0)
	handOver(t, db, 5*time.Minute, messages[0])
	look := func() bool {
		t.Helper()
		sights, err := greetings.lookFrom(t.Context(), db.Pool, view{
			kinds: []string{"HELLO"}, from: make([]time.Time, 1), longest: 2 * time.Minute, resent: 10 * time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		return sights[0].Future
	}
	recall := func() int {
		t.Helper()
		n, err := queue(db).Recall(t.Context(), 2*time.Hour, 3*time.Hour, 10)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec(t, db, `UPDATE outbox SET lease_token = NULL, leased_until = NULL`)
	if look() || recall() != 0 {
		t.Error("what waits for its next send is taken for a message from the future")
	}
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '150 minutes'`)
	if !look() || recall() != 1 {
		t.Error("what was not handed over, and waits for longer than it may, is left waiting")
	}
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '4 hours'`)
	if recall() != 2 {
		t.Error("what was handed over, and waits for longer than it may, is left waiting")
	}
}

// A refusal is heard while a resend is under way. It spends an attempt, and the resend's worker goes on.
func TestARefusalOfTheSendBeforeLeavesTheLease(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	handOver(t, db, 0, claimOne(t, queue(db)))
	again := claimOne(t, queue(db))
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		found, err := greetings.Lock(ctx, tx, []string{m.Key})
		if err != nil {
			return err
		}
		refused := Retry{Message: found[0].Message, Spends: true, Refused: 1, Stays: true}
		return greetings.Reschedule(ctx, tx, []Retry{refused})
	})
	if got, want := sentOf(t, db, m.Key), (sent{Claims: 1, Sends: 1, Refused: 1, Attempts: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	handOver(t, db, time.Hour, again)
	if got, want := sentOf(t, db, m.Key), (sent{Sends: 2, Refused: 1, Attempts: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
