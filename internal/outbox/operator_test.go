package outbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// madeDue runs f, which is MakeDue or Retry, on a message.
func madeDue(
	t testing.TB, db *pgtest.Database, f func(context.Context, pgx.Tx, string, string) (State, error), m New,
) (state State) {
	t.Helper()
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) (err error) {
		state, err = f(ctx, tx, m.Key, m.Kind)
		return err
	})
	return state
}

func TestWhatIsMadeDue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prepare string
		state         State
		makeDue       bool // MakeDue changes it
		retry         bool // so does Retry
	}{
		{"waiting", `UPDATE outbox SET ready_at = 'infinity'`, Waiting, true, true},
		{"parked", `UPDATE outbox SET parked_at = clock_timestamp(), ready_at = 'infinity'`, Parked, false, true},
		{"parked long ago", `UPDATE outbox SET parked_at = clock_timestamp()`, Parked, false, true},
		{"held", `UPDATE outbox SET ready_at = 'infinity', lease_token = gen_random_uuid()`, Leased, false, false},
		{"held by a worker that died", `UPDATE outbox SET lease_token = gen_random_uuid()`, Due, false, false},
		{"due", ``, Due, false, false},
	}
	for _, test := range tests {
		for name, how := range map[string]struct {
			do      func(context.Context, pgx.Tx, string, string) (State, error)
			changes bool
		}{
			"make due": {greetings.MakeDue, test.makeDue},
			"retry":    {greetings.Retry, test.retry},
		} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				t.Parallel()
				db := pgtest.Orders(t)
				m := hello()
				put(t, db, goodbye(m.Key))
				put(t, db, m, hello())
				exec(t, db, test.prepare)
				const whole = `
					SELECT string_agg(outbox::text, ' ' ORDER BY id)
					FROM outbox
					WHERE NOT (key = $1 AND kind = $2)`
				const alone = `SELECT outbox::text FROM outbox WHERE key = $1 AND kind = $2`
				one, others := text(t, db, alone, m.Key, m.Kind), text(t, db, whole, m.Key, m.Kind)
				if got := madeDue(t, db, how.do, m); got != test.state {
					t.Errorf("got state %d, want %d", got, test.state)
				}
				if got := text(t, db, whole, m.Key, m.Kind); got != others {
					t.Errorf("the others are\n%s\nand were\n%s", got, others)
				}
				if got := text(t, db, alone, m.Key, m.Kind) != one; got != how.changes {
					t.Errorf("got it changed: %v, want %v", got, how.changes)
				}
				if due := claim(t, queue(db), 10, 0); how.changes && !slices.Contains(keys(due), m.Key) {
					t.Errorf("got %+v due, want it among them", due)
				}
			})
		}
	}
}

func TestNothingIsMadeDueWhereThereIsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	for _, unknown := range []New{goodbye(m.Key), hello()} {
		if got := madeDue(t, db, greetings.Retry, unknown); got != Absent {
			t.Errorf("the %s of %s: got state %d, want none", unknown.Kind, unknown.Key, got)
		}
	}
}

// A worker is about to park the message. Whoever retries it waits for that, and then does: the operator's word is about
// the message as it is.
func TestRetryWaitsForAWorkerThatParks(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	claimed := claimOne(t, queue(db))
	var retrying sync.WaitGroup
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		err := greetings.Park(ctx, tx, parked("RUDE", claimed))
		retrying.Go(func() {
			if got := madeDue(t, db, greetings.Retry, m); got != Parked {
				t.Errorf("got state %d, want parked: %d", got, Parked)
			}
		})
		awaitBlocked(t, db, 1)
		return err
	})
	retrying.Wait()
	if got := rows(t, db); len(got) != 1 || got[0].Parked || !got[0].Due {
		t.Errorf("got %+v, want it due", got)
	}
}

func TestBacklogCountsEachMessageOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	backlog := func() []Backlog {
		t.Helper()
		b, err := greetings.Backlog(t.Context(), db.Pool)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if got := backlog(); len(got) != 0 {
		t.Errorf("empty: got %+v, want nothing", got)
	}
	put(t, db, hellos(6)...)
	put(t, db, goodbye(uuid.NewString()))
	exec(t, db, `UPDATE outbox SET ready_at = 'infinity' WHERE id IN (1, 2)`)
	exec(t, db, `UPDATE outbox SET lease_token = $1, ready_at = 'infinity' WHERE id = 2`, uuid.NewString())
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 3`)
	exec(t, db, `UPDATE outbox SET created_at = clock_timestamp() - interval '1 hour' WHERE id = 4`)
	got := backlog()
	want := []Backlog{{Kind: "GOODBYE", Due: 1}, {Kind: "HELLO", Due: 3, Waiting: 2, Parked: 1}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Backlog{}, "OldestAge")); diff != "" {
		t.Fatalf("backlog (-want +got):\n%s", diff)
	}
	if age := got[0].OldestAge; age < 0 || age > time.Hour {
		t.Errorf("got a goodbye that is %v old, want a moment", age)
	}
	if age := got[1].OldestAge; age < time.Hour || age > 2*time.Hour {
		t.Errorf("got a hello that is %v old, want an hour", age)
	}
}
