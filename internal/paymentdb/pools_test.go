package paymentdb_test

import (
	"context"
	"testing"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// Writes have every connection that they may have, and keep it. Whatever clients read is read all the same, and a relay
// is told which database this is.
func TestReadsGoOnWhileWritesHaveEveryConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	request := newRequest()
	send(t, paymentdb.New(db.Pool), payment.ChargeApproved, request)
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
	store := paymentdb.NewOver(pools)
	for name, read := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, _, err := store.Get(ctx, request.ID); return err },
		"list": func(ctx context.Context) error {
			_, _, err := store.List(ctx, paymentdb.Filter{}, "", 1)
			return err
		},
		"identity": func(ctx context.Context) error { _, err := store.Identity(ctx); return err },
	} {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
