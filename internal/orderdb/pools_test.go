package orderdb_test

import (
	"context"
	"testing"
	"time"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// Writes have every connection that they may have, and keep it. Whatever clients and operators read is read all the
// same.
func TestReadsGoOnWhileWritesHaveEveryConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	o := placed(t, db, order.Pending)
	pools, err := pg.OpenPools(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=1", Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	held, err := pools.Writes.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	s := orderdb.NewOver(pools, command.Encode)
	for name, read := range map[string]func(context.Context) error{
		"get":        func(ctx context.Context) error { _, err := s.Get(ctx, o.ID); return err },
		"list":       func(ctx context.Context) error { _, _, err := s.List(ctx, orderdb.Filter{}, "", 1); return err },
		"list stuck": func(ctx context.Context) error { _, _, err := s.Stuck(ctx, time.Hour, 0, 1); return err },
		"explain":    func(ctx context.Context) error { _, err := s.Explain(ctx, o.ID, 1); return err },
		"backlog":    func(ctx context.Context) error { _, err := s.Backlog(ctx); return err },
		"list unsettled": func(ctx context.Context) error {
			_, _, err := s.List(ctx, orderdb.Filter{Status: order.Pending}, "", 1)
			return err
		},
		"watch": func(ctx context.Context) error {
			return s.Watched(ctx, []orderdb.Seen{{ID: o.ID}}, func(orderdb.News) {})
		},
	} {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := s.Cancel(t.Context(), o.ID, ""); pg.Classify(err) != pg.Busy {
		t.Errorf("a write: got %v, want %v", err, pg.ErrBusy)
	}
}
