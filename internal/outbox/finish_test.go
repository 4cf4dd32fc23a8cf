package outbox

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// A worker was slow: its lease ended, and another one has claimed its message. What the first one still wants to do
// with the lease leaves the row with the second.
func TestAWorkerWhoseLeaseWentToAnotherMovesNothing(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(ctx context.Context, tx pgx.Tx, q *Queue, m Message) error{
		"reschedule": func(ctx context.Context, tx pgx.Tx, _ *Queue, m Message) error {
			retry := Retry{Message: m, Code: "LATE", Spends: true, Answered: true, Payload: []byte("late")}
			return greetings.Reschedule(ctx, tx, []Retry{retry})
		},
		"park": func(ctx context.Context, tx pgx.Tx, _ *Queue, m Message) error {
			return greetings.Park(ctx, tx, parked("LATE", m))
		},
		"release": func(ctx context.Context, _ pgx.Tx, q *Queue, m Message) error {
			return q.Release(ctx, []Message{m})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			put(t, db, hello())
			first := claimOne(t, queue(db))
			leasesEnd(t, db)
			claimOne(t, queue(db))
			want := rows(t, db)
			inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return late(ctx, tx, queue(db), first) })
			if diff := cmp.Diff(want, rows(t, db)); diff != "" {
				t.Errorf("row (-as the second claim left it +after the first worker's %s):\n%s", name, diff)
			}
		})
	}
}

func TestAClaimCanBeAnsweredOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	retry := Retry{Message: claimOne(t, queue(db)), Delay: time.Hour, Code: "BUSY", Spends: true, Answered: true}
	for range 2 {
		inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Reschedule(ctx, tx, []Retry{retry}) })
	}
	if got := rows(t, db)[0]; got.Attempts != 1 || got.Answers != 1 {
		t.Errorf("got %d attempts and %d answers, want one each: the same was applied twice", got.Attempts, got.Answers)
	}
}

// What was decided stays true however late the worker comes that heard it.
func TestRemoveWorksHoweverStaleTheClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m, hello())
	stale := claim(t, queue(db), 10, 1)
	leasesEnd(t, db)
	claim(t, queue(db), 10, 1)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		if err := greetings.Remove(ctx, tx, nil); err != nil {
			return err
		}
		return greetings.Remove(ctx, tx, []int64{stale[0].ID})
	})
	if got := rows(t, db); len(got) != 1 || got[0].Key != stale[1].Key {
		t.Errorf("got %+v, want the other message only", got)
	}
}

func TestRemoveAllTakesEveryMessageOfItsKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	a, b, other := hello(), hello(), hello()
	put(t, db, a, b, other, goodbye(a.Key))
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		if err := greetings.RemoveAll(ctx, tx, nil); err != nil {
			return err
		}
		return greetings.RemoveAll(ctx, tx, []string{a.Key, b.Key})
	})
	if got := rows(t, db); len(got) != 1 || got[0].Key != other.Key {
		t.Errorf("got %+v, want the message of the other key only", got)
	}
}

func TestRescheduleCounts(t *testing.T) {
	t.Parallel()
	for _, spends := range []bool{false, true} {
		for _, answered := range []bool{false, true} {
			for _, payload := range []string{"", "good evening"} {
				t.Run(fmt.Sprintf("spends %v, answered %v, payload %q", spends, answered, payload), func(t *testing.T) {
					t.Parallel()
					db := pgtest.Orders(t)
					put(t, db, hello())
					retry := Retry{
						Message: claimOne(t, queue(db)), Delay: time.Hour, Code: "BUSY",
						Spends: spends, Answered: answered,
					}
					want := rows(t, db)
					want[0].LastCode, want[0].Leased = "BUSY", false
					if spends {
						want[0].Attempts = 1
					}
					if answered {
						want[0].Answers = 1
					}
					if payload != "" {
						retry.Payload, want[0].Payload = []byte(payload), payload
					}
					inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
						return greetings.Reschedule(ctx, tx, []Retry{retry})
					})
					if diff := cmp.Diff(want, rows(t, db)); diff != "" {
						t.Errorf("row (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

// A batch is one statement, and each message keeps what is its own.
func TestRescheduleOfManyIsEachForItself(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(20)...)
	var retries []Retry
	want := map[string]row{}
	for i, m := range claim(t, queue(db), 20, 1) {
		r := Retry{Message: m, Code: fmt.Sprint("CODE", i), Spends: i%2 == 0, Answered: i%3 == 0}
		w := row{Key: m.Key, Kind: m.Kind, Payload: string(m.Payload), Claims: 1, LastCode: r.Code, Due: i%5 == 0}
		if r.Spends {
			w.Attempts = 1
		}
		if r.Answered {
			w.Answers = 1
		}
		if i%4 == 0 {
			r.Payload, w.Payload = []byte(r.Code), r.Code
		}
		if i%5 != 0 {
			r.Delay = time.Hour
		}
		retries, want[m.Key] = append(retries, r), w
	}
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Reschedule(ctx, tx, retries) })
	got := map[string]row{}
	for _, r := range rows(t, db) {
		got[r.Key] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestParkSetsAside(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(2)...)
	messages := claim(t, queue(db), 10, 1)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		return greetings.Park(ctx, tx, append(
			parked("CODE"+messages[0].Key, messages[0]), parked("CODE"+messages[1].Key, messages[1])...))
	})
	leasesEnd(t, db)
	for _, got := range rows(t, db) {
		want := row{
			Key: got.Key, Kind: "HELLO", Payload: "good morning", Claims: 1, Answers: 1,
			Parked: true, Due: true, LastCode: "CODE" + got.Key,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row (-want +got):\n%s", diff)
		}
	}
	if got := claim(t, queue(db), 10, 1); len(got) != 0 {
		t.Errorf("claimed %+v although it is parked", got)
	}
}
