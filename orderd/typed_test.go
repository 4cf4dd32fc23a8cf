package main

import (
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/migrations"
)

// A program has prepared its statements when the columns are given other types. It places, reads, cancels and settles
// orders as before, on the same connection, and nobody is told of it.
func TestColumnsAreGivenTypesUnderAProgramAtWork(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	if _, err := migrations.Apply(t.Context(), db.URL, migrationsBefore(t, "00021"), nil); err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "at work", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := orderdb.New(pool, command.Encode)
	workOn(t, s)
	if _, err := migrations.Orders.Up(t.Context(), db.URL, nil); err != nil {
		t.Fatal(err)
	}
	workOn(t, s)
}

// migrationsBefore are those of the orders database that come before another one.
func migrationsBefore(t *testing.T, next string) fs.FS {
	t.Helper()
	folder := os.DirFS("../migrations/orders")
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for _, file := range files {
		if file < next {
			text, err := fs.ReadFile(folder, file)
			if err != nil {
				t.Fatal(err)
			}
			before[file] = &fstest.MapFile{Data: text}
		}
	}
	return before
}

// workOn completes an order by the short way and cancels another, and reads both.
func workOn(t *testing.T, s *orderdb.Store) {
	t.Helper()
	paid, given := unplaced(), unplaced()
	paid.RequestID = paid.ID
	for _, n := range []orderdb.NewOrder{paid, given} {
		if _, fresh, err := s.Place(t.Context(), n); err != nil || !fresh {
			t.Fatalf("place: got fresh %v, error %v", fresh, err)
		}
	}
	settle(t, s, paid, order.Charge, order.PaymentCharged)
	if _, changed, err := s.Cancel(t.Context(), given.ID, ""); err != nil || !changed {
		t.Fatalf("cancel: got changed %v, error %v", changed, err)
	}
	settle(t, s, given, order.Void, order.PaymentVoided)
	for id, want := range map[string]order.Status{paid.ID: order.Completed, given.ID: order.Cancelled} {
		if got, err := s.Get(t.Context(), id); err != nil || got.Status != want {
			t.Errorf("got %+v, error %v; want %s", got, err, want)
		}
	}
}

// settle is what a relay does that was told of the event by the first delivery of a command.
func settle(t *testing.T, s *orderdb.Store, n orderdb.NewOrder, kind order.Command, event order.Event) {
	t.Helper()
	message := outbox.Message{Key: n.ID, Kind: string(kind), Claims: 1}
	done, err := s.Settle(t.Context(), []orderdb.Finding{{
		Event:    event,
		Told:     orderdb.Told{CustomerID: n.CustomerID, AmountMinor: n.AmountMinor, Currency: n.Currency},
		Retry:    outbox.Retry{Message: message, Code: "OK", Answered: true},
		Delivery: orderdb.Delivery{Relay: "relay:1", RPC: "ProcessPayments", Result: outbox.Decided},
	}})
	if err != nil || len(done.Changes) != 1 {
		t.Fatalf("settle: got %+v, error %v; want one change", done, err)
	}
}
