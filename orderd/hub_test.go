package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

func TestManyWatchersCostOneQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.refresh(t)
	if got := f.queries.Load(); got != 0 {
		t.Errorf("got %d queries while nobody watches, want none", got)
	}

	const orders, watchers = 100, 200
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = f.place(t).ID
	}
	all := make([]latest, watchers)
	for i := range all {
		all[i] = f.watch(ids[i%orders])
	}
	f.refresh(t)
	if got := f.queries.Load(); got != 1 {
		t.Errorf("got %d queries for what %d watchers begin with, want 1", got, watchers)
	}
	if _, err := f.db.Pool.Exec(t.Context(), `UPDATE orders SET status = 'COMPLETED'`); err != nil {
		t.Fatal(err)
	}
	f.hub.wake("")
	f.refresh(t)
	if got := f.queries.Load(); got != 2 {
		t.Errorf("got %d queries for %d watchers, want 2", got, watchers)
	}
	for i, w := range all {
		if o := f.next(t, w, order.Pending); o.ID != ids[i%orders] || o.Status != order.Completed || len(o.Items) != 1 {
			t.Errorf("watcher %d: got %+v, want %s %s", i, o, ids[i%orders], order.Completed)
		}
		f.hub.forget(ids[i%orders], w)
	}
	f.hub.wake("")
	f.refresh(t)
	if got := f.queries.Load(); got != 2 {
		t.Errorf("got %d queries after the last watcher left, want still 2", got)
	}
}

// A thousand wake-ups that come before the hub gets to them are one.
func TestWakeUpsThatComeTogetherAreOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 1000 {
		f.hub.wake("")
	}
	if got := len(f.hub.wanted); got != 1 {
		t.Errorf("got %d wake-ups, want 1", got)
	}
}

// Wake-ups are lost, and the hub looks as often as it is told to: fifty times in the time of a test, and not once a
// second.
func TestTheHubLooksAsOftenAsItIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.hub.poll = func(usual time.Duration) time.Duration { return min(usual, time.Millisecond) }
	o := f.place(t)
	w := f.watch(o.ID)
	defer f.hub.forget(o.ID, w)
	ctx, stop := context.WithTimeout(t.Context(), longWait)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.hub.run(ctx)
	}()
	for f.queries.Load() < 50 && wait.For(ctx, time.Millisecond) {
	}
	if got := f.queries.Load(); got < 50 {
		t.Errorf("got %d queries in %v, want more than one a second", got, longWait)
	}
	stop()
	<-ended
}

// A slow client takes nothing while its order passes through all of its statuses. The hub does not wait for it, and in
// the end it gets the latest state alone.
func TestASlowWatcherSkipsStatusesAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	slow, quick := f.watch(o.ID), f.watch(o.ID)
	var seen []order.Status
	last := order.Status("")
	for _, to := range order.Statuses {
		if to != order.Pending {
			_, err := f.db.Pool.Exec(t.Context(), `
				UPDATE orders
				SET status = $2::text,
					cancel_reason = CASE WHEN $2::text IN ('CANCELLING', 'CANCELLED') THEN 'CUSTOMER' END
				WHERE id = $1`, o.ID, to)
			if err != nil {
				t.Fatal(err)
			}
		}
		f.hub.wake(o.ID)
		f.refresh(t)
		last = f.next(t, quick, last).Status
		seen = append(seen, last)
	}
	if diff := cmp.Diff(order.Statuses, seen); diff != "" {
		t.Errorf("what the quick one saw (-want +got):\n%s", diff)
	}
	if got := f.next(t, slow, order.Pending); got.Status != order.Cancelled {
		t.Errorf("the slow one: got %s, want %s", got.Status, order.Cancelled)
	}
}

// A watcher has been told that its order is COMPLETED when the hub comes with what it read a moment earlier. The old
// news is passed over, the next news is not.
func TestAWatcherNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil, slog.New(slog.DiscardHandler)) // it is told what to publish
		o := order.Order{ID: "1"}
		w := newLatest()
		h.watch(o.ID, w, true)
		_, _, round := h.next()
		var got order.Status
		go func() {
			n, _ := w.next(t.Context(), h, order.Completed)
			got = n.order.Status
		}()
		for _, s := range []order.Status{order.Pending, order.Completed, order.Cancelling} {
			if o.Status = s; got != "" {
				t.Errorf("got %s, want it passed over", got)
			}
			h.publish(round, orderdb.News{Orders: []order.Order{o}})
			synctest.Wait() // it has been taken
		}
		if got != order.Cancelling {
			t.Errorf("got %s, want %s", got, order.Cancelling)
		}
	})
}

// Somebody begins to watch while a query is under way. What that says is older than his call: his client may have
// cancelled the order since, or made it. The next query is for him, although the other one's watcher has seen all.
func TestAWatcherTakesNothingThatIsOlderThanItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	first := f.watch(o.ID)
	_, _, round := f.hub.next()
	if _, _, err := f.store.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	second := f.watch(o.ID)
	f.hub.publish(round, orderdb.News{Orders: []order.Order{o}})
	if got := f.next(t, first, "").Status; got != order.Pending || len(second) != 0 {
		t.Errorf("the first got %s, and there are %d news for the second; want %s and none", got, len(second), o.Status)
	}
	f.hub.publish(round, orderdb.News{Missing: []string{o.ID}})
	f.refresh(t)
	if got := f.next(t, second, "").Status; got != order.Cancelling {
		t.Errorf("the second got %s, want %s", got, order.Cancelling)
	}
}

// A wake-up names the orders that have changed, and others that nobody watches, and what is no id at all. One query
// looks at those that are watched.
func TestAWakeUpThatNamesOrdersIsAboutThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	changed, other, unwatched := f.place(t), f.place(t), f.place(t)
	w, o := f.watch(changed.ID), f.watch(other.ID)
	f.refresh(t)
	f.next(t, w, "")
	f.next(t, o, "")
	if _, err := f.db.Pool.Exec(t.Context(), `UPDATE orders SET status = 'COMPLETED'`); err != nil {
		t.Fatal(err)
	}
	f.hub.wake(strings.Join([]string{unwatched.ID, changed.ID, "'; DROP TABLE orders; --", changed.ID, ""}, ","))
	f.refresh(t)
	if got := f.next(t, w, order.Pending).Status; got != order.Completed || len(o) != 0 {
		t.Errorf("got %s, and %d news of the other; want %s and none", got, len(o), order.Completed)
	}
	f.hub.wake(unwatched.ID)
	f.refresh(t)
	if got := f.queries.Load(); got != 2 {
		t.Errorf("got %d queries, want 2", got)
	}
	f.hub.wake("")
	f.refresh(t)
	if got := f.next(t, o, order.Pending).Status; got != order.Completed {
		t.Errorf("the other: got %s, want %s", got, order.Completed)
	}
}

// Many are watched, and all are looked at, step by step. What is named meanwhile does not wait for the last step.
func TestWhatIsNamedDoesNotWaitForAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 3 * hubStep {
		f.hub.expect(uuid.NewString(), newLatest())
	}
	f.hub.wake("")
	if more, err := f.hub.refresh(t.Context()); !more || err != nil {
		t.Fatalf("got more %v, error %v; want more", more, err)
	}
	o := f.place(t)
	w := f.watch(o.ID)
	if more, err := f.hub.refresh(t.Context()); !more || err != nil {
		t.Fatalf("got more %v, error %v; want more", more, err)
	}
	if len(w) != 1 {
		t.Error("got no news after the next step, want them")
	}
	if more, err := f.hub.refresh(t.Context()); more || err != nil {
		t.Errorf("got more %v, error %v; want no more", more, err)
	}
}

// An order is expected, and somebody who has guessed its id watches it: he is told that there is none, and the one who
// expects it hears of it once it is there.
func TestAnOrderThatIsExpectedIsNotMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	n := unplaced()
	expects := newLatest()
	f.hub.expect(n.ID, expects)
	guesses := f.watch(n.ID)
	f.refresh(t)
	if _, err := guesses.next(t.Context(), f.hub, ""); !errors.Is(err, orderdb.ErrNotFound) {
		t.Errorf("got error %v, want %v", err, orderdb.ErrNotFound)
	}
	if _, _, err := f.store.Place(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.store.Cancel(t.Context(), n.ID, ""); err != nil {
		t.Fatal(err)
	}
	f.hub.wake(n.ID)
	f.refresh(t)
	if got := f.next(t, expects, order.Pending).Status; got != order.Cancelling {
		t.Errorf("got %s, want %s", got, order.Cancelling)
	}
}

// The database is away. Who begins to watch is told so, who watches waits.
func TestWhoBeginsToWatchIsToldThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	before := f.watch(o.ID)
	f.refresh(t)
	f.next(t, before, "")
	ended, end := context.WithCancel(t.Context())
	end()
	after := f.watch(o.ID)
	f.hub.wake("")
	if _, err := f.hub.refresh(ended); err == nil {
		t.Fatal("got no error of a query that could not be sent")
	}
	if _, err := after.next(t.Context(), f.hub, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the query's", err)
	}
	if len(before) != 0 {
		t.Error("got news for who watched before, want none")
	}
}

// Thousands begin to watch an order that somebody watches. He is told nothing that he knows: or each of them would
// cost as much as all of them.
func TestWhoBeginsToWatchDisturbsNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	before := f.watch(o.ID)
	f.refresh(t)
	f.next(t, before, "")
	for range 3 {
		after := f.watch(o.ID)
		f.refresh(t)
		f.next(t, after, "")
	}
	if len(before) != 0 {
		t.Error("got news for who watched before, want none")
	}
	f.hub.wake("")
	if _, _, err := f.store.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	f.refresh(t)
	if got := f.next(t, before, order.Pending).Status; got != order.Cancelling {
		t.Errorf("got %s, want the change", got)
	}
}

func TestAWatcherThatLeavesWhileTheHubReadsIsNoProblem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	w := f.watch(o.ID)
	_, _, round := f.hub.next()
	f.hub.forget(o.ID, w)
	f.hub.forget(o.ID, w) // once more is no problem either
	f.hub.publish(round, orderdb.News{Orders: []order.Order{o}})
	if got := len(f.hub.orders); got != 0 {
		t.Errorf("got %d orders watched, want none", got)
	}
}

func TestAClientThatGoesEndsItsWatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.watch(uuid.NewString()).next(ctx, f.hub, order.Pending); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

// Twenty thousand may watch one order, and each change is made into a message once.
func TestWhatManyWatchersAreToldIsEncodedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.place(t).ID
	first, second := f.watch(id), f.watch(id)
	f.refresh(t)
	var replies [2]rpc.Encoded
	for i, w := range []latest{first, second} {
		n, err := w.next(t.Context(), f.hub, "")
		if err != nil {
			t.Fatal(err)
		}
		if replies[i], err = n.reply(); err != nil {
			t.Fatal(err)
		}
	}
	if &replies[0][0] != &replies[1][0] {
		t.Error("got a message for each, want one for both")
	}
}
