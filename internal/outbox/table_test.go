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

// An event tells what happened, and a younger one of the same key does not make it untrue: both are delivered. Their
// table allows many of a kind and key, and has a name that would be something else if it were not quoted.
func TestWhereNothingSupersedesBothMessagesOfAKeyAreDelivered(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	exec(t, db, `CREATE TABLE "Order" (LIKE outbox INCLUDING ALL EXCLUDING INDEXES)`)
	g := newGreeter(t, db)
	g.table = Table{Name: "Order"}
	morning, evening := hello(), hello()
	evening.Key, evening.Payload = morning.Key, []byte("good evening")
	g.meet(t, db, morning)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return g.table.Append(ctx, tx, evening) })
	start(t, newWorker(db, patient(), g))
	eventually(t, "both are settled", func() bool { return number(t, db, `SELECT count(*) FROM "Order"`) == 0 })
	var got []string
	for _, m := range slices.Concat(g.sent...) {
		got = append(got, string(m.Payload))
	}
	if diff := cmp.Diff([]string{"good evening", "good morning"}, sorted(got)); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

// The whole of a message's life, in a table with another name: no statement of the engine speaks of outbox.
func TestEveryStatementIsAboutTheTableThatItIsGiven(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	exec(t, db, `CREATE TABLE "Order" (LIKE outbox INCLUDING ALL)`)
	exec(t, db, `DROP TABLE outbox`)
	letters := Table{Name: "Order", Supersedes: true}
	queue := NewQueue(db.Pool, letters, "HELLO", time.Hour)
	m := hello()
	m.ExpiresAt = time.Unix(0, 0)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return letters.Append(ctx, tx, m, goodbye(hello().Key)) })
	expired, _, err := queue.Expired(t.Context(), 10, place{})
	if err != nil || len(expired) != 1 {
		t.Errorf("expired: got %d messages, error %v, want 1", len(expired), err)
	}
	if err := queue.Release(t.Context(), claim(t, queue, 10, 1)); err != nil {
		t.Error(err)
	}
	if d, any, err := queue.NextDue(t.Context(), 1, false, time.Time{}); err != nil || !any || d > 0 {
		t.Errorf("next due: got %v, %v, error %v, want it due", d, any, err)
	}
	claimed := claim(t, queue, 10, 1)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return letters.Park(ctx, tx, parked("RUDE", claimed...)) })
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		state, err := letters.Retry(ctx, tx, m.Key, m.Kind)
		if state != Parked {
			t.Errorf("retry: got state %d, want parked: %d", state, Parked)
		}
		return err
	})
	claimed = claim(t, queue, 10, 1)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		return letters.Reschedule(ctx, tx, []Retry{{Message: claimed[0], Code: "BUSY"}})
	})
	if got := text(t, db, `SELECT code FROM `+letters.View()+` AS m WHERE key = $1`, m.Key); got != "BUSY" {
		t.Errorf("view: got code %q, want BUSY", got)
	}
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return letters.Remove(ctx, tx, []int64{claimed[0].ID}) })
	backlog, err := letters.Backlog(t.Context(), db.Pool)
	if err != nil || len(backlog) != 1 || backlog[0].Kind != "GOODBYE" {
		t.Errorf("backlog: got %+v, error %v, want the goodbye", backlog, err)
	}
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return letters.RemoveAll(ctx, tx, []string{m.Key}) })
}
