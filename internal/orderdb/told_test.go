package orderdb_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

// Nothing is told before it can be read, and nothing is left untold where a process dies after its COMMIT: the
// transaction tells what it does.
func TestOrdersAreToldOfByTheTransactionThatWritesThem(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	next := listening(t, db, outbox.Channel, orderdb.Channel)
	o := place(t, s, newOrder())
	if channel, got := next(); channel != outbox.Channel || got != string(order.Charge) {
		t.Errorf("placed: got %q on %s, want %s on %s", got, channel, order.Charge, outbox.Channel)
	}
	done := apply(t, s, atOnce(order.PaymentCharged, claimed(t, db, o.ID)))
	if channel, got := next(); channel != orderdb.Channel || got != o.ID || !done.Changes[0].Told {
		t.Errorf("settled: got %q on %s and %+v, want %s on %s", got, channel, done.Changes, o.ID, orderdb.Channel)
	}
}

// Those of a relay's largest batch are more than one NOTIFY may name.
func TestAllOrdersOfALargeBatchAreToldOf(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	findings := takenCharges(t, db, outbox.MaxBatch)
	next := listening(t, db, orderdb.Channel)
	apply(t, s, findings...)
	told := map[string]bool{}
	for len(told) < len(findings) {
		_, payload := next()
		for id := range strings.SplitSeq(payload, ",") {
			told[id] = true
		}
	}
	for _, f := range findings {
		if !told[f.Retry.Message.Key] {
			t.Errorf("order %s: got no word of it", f.Retry.Message.Key)
		}
	}
}

// Somebody listens and has kept a transaction open for days. The server takes no NOTIFY any more, and polling is the
// truth.
func TestAFullQueueOfNotificationsStopsNoOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	_, err := db.Pool.Exec(t.Context(), `
		CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = 'program_limit_exceeded';
		END $$`)
	if err != nil {
		t.Fatal(err)
	}
	config := db.Pool.Config()
	config.ConnConfig.RuntimeParams["search_path"] = "public, pg_catalog"
	s := orderdb.New(poolOf(t, config), command.Encode)
	o := place(t, s, newOrder())
	done := apply(t, s, atOnce(order.PaymentCharged, claimed(t, db, o.ID)))
	if got := get(t, s, o.ID).Status; got != order.Completed || done.Changes[0].Told {
		t.Errorf("got %s and %+v, want %s, and nobody told", got, done.Changes, order.Completed)
	}
}

// listening hears what is told on some channels, and returns one wake-up after the other.
func listening(t *testing.T, db *pgtest.Database, channels ...string) (next func() (channel, payload string)) {
	t.Helper()
	listener, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(context.WithoutCancel(t.Context())) })
	for _, channel := range channels {
		if _, err := listener.Exec(t.Context(), `LISTEN `+channel); err != nil {
			t.Fatal(err)
		}
	}
	return func() (channel, payload string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), longWait)
		defer cancel()
		n, err := listener.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n.Channel, n.Payload
	}
}
