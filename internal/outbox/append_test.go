package outbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

func TestWhatIsAppendedIsClaimedAsItIs(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Microsecond) // as PostgreSQL keeps it
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	sent := hello()
	sent.ExpiresAt, sent.Traceparent = expires, trace
	put(t, db) // no message is no error
	put(t, db, sent)

	got := claimOne(t, queue(db))
	if got.LeaseToken == nil || got.LeasedUntil == nil || !got.LeasedUntil.After(got.CreatedAt) ||
		got.ExpiresAt == nil || !got.ExpiresAt.Equal(expires) || got.CreatedAt.IsZero() {
		t.Errorf("got %+v, want a lease, the time of its creation, and to expire at %s", got, expires)
	}
	got.LeaseToken, got.LeasedUntil, got.ExpiresAt, got.CreatedAt = nil, nil, nil, time.Time{}
	want := Message{ID: got.ID, Key: sent.Key, Kind: "HELLO", Payload: sent.Payload, Traceparent: &trace, Claims: 1}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Message{})); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestARolledBackAppendLeavesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	fault := errors.New("the writer thinks better of it")
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return errors.Join(greetings.Append(t.Context(), tx, hello()), fault)
	})
	if !errors.Is(err, fault) {
		t.Fatal(err)
	}
	if got := rows(t, db); len(got) != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
}

// Three writers append, in the order of the ids, and commit in the reverse order. In between a worker claims each time:
// it finds what is committed, and is not led past the others by ids that are higher.
func TestMessagesThatCommitInTheReverseOrderOfTheirIDsAreAllFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	var open []pgx.Tx
	messages := hellos(3)
	for _, m := range messages {
		tx, err := db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if err := greetings.Append(t.Context(), tx, m); err != nil {
			t.Fatal(err)
		}
		open = append(open, tx)
	}
	if got := claim(t, queue(db), 10, 1); len(got) != 0 {
		t.Fatalf("claimed %d messages that are not committed", len(got))
	}
	for i := len(open) - 1; i >= 0; i-- {
		if err := open[i].Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := claimOne(t, queue(db)).Key, messages[i].Key; got != want {
			t.Errorf("claimed a message to %s, want the one that was committed, to %s", got, want)
		}
	}
}

func TestASecondMessageOfAKindAndKeyIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m, goodbye(m.Key))
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return greetings.Append(t.Context(), tx, hello(), m) })
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.ConstraintName != "outbox_one_of_a_kind" {
		t.Errorf("got error %v, want outbox_one_of_a_kind", err)
	}
	if got := len(rows(t, db)); got != 2 {
		t.Errorf("got %d rows, want the 2 that were there", got)
	}
}

// Whoever only wants such a message to be there is content with the one that is, and takes no lock that a worker needs.
func TestAMessageThatIsThereStandsForTheNewOne(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m, other := hello(), hello()
	put(t, db, m)
	again := m
	again.Payload = []byte("good evening")
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Ensure(ctx, tx, again, other) })
	got := rows(t, db)
	if len(got) != 2 || got[0].Payload != "good morning" || got[1].Key != other.Key {
		t.Errorf("got %+v, want the one that was there as it was, and the other", got)
	}
}
