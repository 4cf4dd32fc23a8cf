package outbox

import (
	"context"
	"testing"
	"time"

	"hosho/internal/pgtest"
)

// A claim that was full goes on from the newest that it had. One that was not has seen everything, but for what is
// committed late: it stays behind by that.
func TestTheFrontierIsNotBeforeWhatMayStillBeThere(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	had := func(ago ...time.Duration) (found []claimed) {
		for _, d := range ago {
			found = append(found, claimed{Message: Message{Claims: 1}, ReadyAt: now.Add(-d), At: now})
		}
		return found
	}
	alone := claimed{Message: Message{Alone: true}, ReadyAt: now.Add(-time.Hour), At: now}
	was := frontier{from: now.Add(-10 * time.Second), slack: leastSlack}
	for name, test := range map[string]struct {
		found []claimed
		limit int
		want  frontier
	}{
		"nothing":             {nil, 2, was},
		"only one alone":      {[]claimed{alone}, 2, was},
		"not full":            {had(time.Second), 2, frontier{now.Add(-leastSlack), leastSlack}},
		"full":                {had(9*time.Second, 8*time.Second), 2, frontier{now.Add(-8 * time.Second), leastSlack}},
		"full, of a moment":   {had(time.Second, 0), 2, frontier{now.Add(-leastSlack), leastSlack}},
		"one was behind":      {had(11 * time.Second), 2, frontier{now.Add(-2 * leastSlack), 2 * leastSlack}},
		"full, and alone too": {append(had(9*time.Second), alone), 1, frontier{now.Add(-9 * time.Second), leastSlack}},
	} {
		got := was
		if got.moved(test.found, test.limit); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
	f := frontier{from: now}
	for range 20 {
		f.moved(had(time.Hour), 2)
	}
	if f.slack != mostSlack {
		t.Errorf("got a slack of %v, want %v at most", f.slack, mostSlack)
	}
}

// A worker has claimed what there was. Then messages come that were written long before and are committed only now,
// and nobody wakes it. The next look sees them.
func TestWhatIsCommittedBehindTheFrontierIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	w := newWorker(db, restless(), g)
	start(t, w)
	for n := range 10 {
		g.meet(t, db, hello())
		eventually(t, "a greeting", func() bool { return people(t, db, "HAPPY") == 2*n+1 })
		late := hello()
		g.meetLate(t, db, late)
		eventually(t, "the late one's greeting", func() bool { return people(t, db, "HAPPY") == 2*n+2 })
	}
}

// meetLate is meet for a message whose transaction took an hour.
func (g *greeter) meetLate(t testing.TB, db *pgtest.Database, m New) {
	t.Helper()
	exec(t, db, `INSERT INTO greeted (key) VALUES ($1)`, m.Key)
	exec(t, db, `
		INSERT INTO outbox (key, kind, payload, ready_at)
		VALUES ($1, $2, $3, clock_timestamp() - interval '1 hour')`, m.Key, m.Kind, m.Payload)
}

// Many messages are under way when the worker is woken, again and again. It waits until one of them is settled, and
// then takes all that has come, at once.
func TestWakeUpsWaitForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	const under, later = few + 1, 5
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	sent, answer := make(chan struct{}, under+later), make(chan struct{})
	g.answer = func(ctx context.Context, _ Message) Report {
		sent <- struct{}{}
		<-answer
		return Report{Result: Decided}
	}
	g.meet(t, db, hellos(under)...)
	w := newWorker(db, patient(), g)
	w.linger = time.Hour
	start(t, w)
	for range under {
		receive(t, "a message is sent", sent)
	}
	for range later {
		g.meet(t, db, hello())
		w.Wake()
	}
	if got := g.deliveries(); got != under {
		t.Errorf("got %d deliveries, want those under way, %d", got, under)
	}
	answer <- struct{}{}
	for range later {
		receive(t, "a later message is sent", sent)
	}
	if got := len(g.batch(1)); got != later {
		t.Errorf("got %d messages in the second batch, want all %d", got, later)
	}
	close(answer)
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == under+later })
}
