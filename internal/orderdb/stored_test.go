package orderdb_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// subject is the command that an event is about. Decisions of the payment service and people's come with either.
func subject(event order.Event) []order.Command {
	switch event {
	case order.ChargeUndecided, order.ChargeSpent, order.ChargeRefused, order.ChargeLate, order.ChargeConflict:
		return []order.Command{order.Charge}
	case order.VoidUndecided, order.VoidConflict, order.VoidUnreadable:
		return []order.Command{order.Void}
	}
	return []order.Command{order.Charge, order.Void}
}

// stored is what a test wants to know of an order's row in the outbox.
type stored struct {
	Kind     string
	Attempts int
	Answers  int
	Leased   bool
	Parked   bool
	Due      bool
	LastCode string
	Rebuilt  bool // it holds what the order's command is encoded to
}

// inOutbox returns an order's commands, CHARGE before VOID.
func inOutbox(t testing.TB, db *pgtest.Database, o order.Order) []stored {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT kind, attempts, answers, lease_token IS NOT NULL AS leased, parked_at IS NOT NULL AS parked,
			parked_at IS NULL AND greatest(ready_at, leased_until) <= clock_timestamp() AS due,
			coalesce(last_code, '') AS last_code,
			payload = CASE kind WHEN 'VOID' THEN $2::bytea ELSE $3::bytea END AS rebuilt
		FROM outbox
		WHERE key = $1
		ORDER BY kind`, o.ID, payloadOf(t, order.Void, o), payloadOf(t, order.Charge, o))
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByName[stored])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func payloadOf(t testing.TB, kind order.Command, o order.Order) []byte {
	t.Helper()
	payload, err := command.Encode(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// standingIn is an order in a state whose command of a kind was claimed, with no other command. Where the order could
// not have that command any more, or not yet, the row is made all the same: a stale claim may bring it up.
func standingIn(
	t *testing.T, db *pgtest.Database, n orderdb.NewOrder, state order.State, kind order.Command,
) (order.Order, outbox.Message) {
	t.Helper()
	status := state.Status
	if state.AfterCompleted {
		status = order.Completed
	}
	o := placedAs(t, db, n, status)
	s := orderdb.New(db.Pool, command.Encode)
	if state.AfterCompleted {
		if _, changed, err := s.Cancel(t.Context(), o.ID, ""); err != nil || !changed {
			t.Fatalf("cancel: got changed %v, error %v", changed, err)
		}
	}
	if state.ByHand {
		execute(t, db, `
			INSERT INTO audit (order_id, action, operator, reason) VALUES ('`+o.ID+`', 'SETTLE', 'ada', 'told so')`)
	}
	execute(t, db, `DELETE FROM outbox WHERE key = '`+o.ID+`'`)
	add(t, db, o.ID, kind)
	return get(t, s, o.ID), claimed(t, db, o.ID)
}

// add puts a command into the outbox whose payload is damaged.
func add(t testing.TB, db *pgtest.Database, id string, kind order.Command) {
	t.Helper()
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		damaged := outbox.New{Key: id, Kind: string(kind), Payload: []byte("damaged")}
		return orderdb.Outbox.Append(t.Context(), tx, damaged)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// claimed claims what is due, and returns the command of an order.
func claimed(t testing.TB, db *pgtest.Database, id string) outbox.Message {
	t.Helper()
	messages := claimAll(t, db.Pool, time.Hour, 1000, 1)
	i := slices.IndexFunc(messages, func(m outbox.Message) bool { return m.Key == id })
	if i < 0 {
		t.Fatalf("claimed %d messages, none of them of order %s", len(messages), id)
	}
	return messages[i]
}

// found is a finding about a command of a newOrder.
func found(event order.Event, m outbox.Message) orderdb.Finding {
	return orderdb.Finding{
		Event: event, Told: money, Longest: 2 * time.Hour,
		Retry: outbox.Retry{Message: m, Delay: time.Hour, Code: "SAID", Spends: true, Answered: true},
		Delivery: orderdb.Delivery{
			Relay: "relay:1", RPC: "ProcessPayments", Result: outbox.Ambiguous, Took: time.Millisecond,
		},
	}
}

func apply(t testing.TB, s *orderdb.Store, findings ...orderdb.Finding) orderdb.Settlement {
	t.Helper()
	done, err := s.Settle(t.Context(), findings)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// reclaimed claims what was claimed before: its lease is over.
func reclaimed(t testing.TB, db *pgtest.Database, id string) outbox.Message {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(),
		`UPDATE outbox SET ready_at = clock_timestamp(), leased_until = NULL WHERE key = $1`, id)
	if err != nil {
		t.Fatal(err)
	}
	return claimed(t, db, id)
}
