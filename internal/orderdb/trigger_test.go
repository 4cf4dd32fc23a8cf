package orderdb_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// update writes a status and a reason ("" for none) past the package, and returns the constraint that refused it.
func update(
	ctx context.Context, pool *pgxpool.Pool, id string, to order.Status, reason order.CancelReason,
) (refused string, err error) {
	_, err = pool.Exec(ctx, `
		UPDATE orders
		SET status = $2, cancel_reason = nullif($3, '')
		WHERE id = $1`, id, to, reason)
	return constraint(err)
}

func constraint(err error) (refused string, other error) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.ConstraintName != "" {
		return pgErr.ConstraintName, nil
	}
	return "", err
}

// legal is every change of status that order.Apply can decide.
func legal() map[[2]order.Status]bool {
	changes := map[[2]order.Status]bool{}
	for _, from := range order.States {
		for _, event := range order.Events {
			if t, err := order.Apply(from, event); err == nil && t.Changes(from) {
				changes[[2]order.Status{from.Status, t.To.Status}] = true
			}
		}
	}
	return changes
}

func TestTheTriggerAndApplyAgreeOnEveryPairOfStatuses(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	changes := legal()
	for _, from := range order.Statuses {
		for _, to := range order.Statuses {
			if from == to {
				continue
			}
			var reason order.CancelReason
			if to == order.Cancelling || to == order.Cancelled {
				reason = order.ReasonCustomer
			}
			want := "orders_legal_transition"
			if changes[[2]order.Status{from, to}] {
				want = ""
			}
			got, err := update(t.Context(), db.Pool, placed(t, db, from).ID, to, reason)
			if err != nil || got != want {
				t.Errorf("%s to %s: got refused by %q, error %v; want %q", from, to, got, err, want)
			}
		}
	}
}

// facts are the updates of what never changes, whatever the status.
var facts = []string{
	`id = gen_random_uuid()`, `customer_id = 'mallory'`, `request_id = 'r-2'`, `request_hash = '\x00'`,
	`request_id = NULL, request_hash = NULL`, `items = '[{"name": "gold", "quantity": 1, "unit_price": 1}]'`,
	`amount_minor = amount_minor + 1`, `currency = 'USD'`, `created_at = created_at - interval '1 second'`,
	`deadline_at = deadline_at + interval '1 second'`, `completed_at = 'epoch'`,
}

// A walk through the life of an order: events change it as order.Apply says, and the database accepts each of these
// changes; in between somebody tries everything else, and the database refuses it and keeps the order as it was.
func TestTheTriggerFollowsEveryWalkOfApply(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	ctx := t.Context()
	changes := legal()
	rapid.Check(t, func(t *rapid.T) {
		o, _, err := s.Place(ctx, request(uuid.NewString()))
		if err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"an event": func(t *rapid.T) {
				event := rapid.SampledFrom(order.Events).Draw(t, "event")
				next, err := order.Apply(o.State(), event)
				if err != nil || !next.Changes(o.State()) {
					return
				}
				if next.Reason != "" {
					o.CancelReason = next.Reason
				}
				refused, err := update(ctx, db.Pool, o.ID, next.To.Status, o.CancelReason)
				if err != nil || refused != "" {
					t.Fatalf("%s, order %s: got refused by %q, error %v; want it accepted",
						event, o.Status, refused, err)
				}
				if o.Status == order.Completed {
					o.CompletedAt = o.UpdatedAt
				}
				o.Status = next.To.Status
			},
			"an illegal status": func(t *rapid.T) {
				to := rapid.SampledFrom(order.Statuses).Draw(t, "status")
				reasons := []order.CancelReason{"", order.ReasonCustomer, order.ReasonOperator}
				reason := rapid.SampledFrom(reasons).Draw(t, "reason")
				same := to == o.Status && reason == o.CancelReason
				reasoned := (to == order.Cancelling || to == order.Cancelled) == (reason != "")
				if same || changes[[2]order.Status{o.Status, to}] && reasoned {
					return
				}
				if refused, err := update(ctx, db.Pool, o.ID, to, reason); err != nil || refused == "" {
					t.Fatalf("%s to %s, reason %q: got it accepted, error %v; want it refused",
						o.Status, to, reason, err)
				}
			},
			"a fact": func(t *rapid.T) {
				set := rapid.SampledFrom(facts).Draw(t, "set")
				_, err := db.Pool.Exec(ctx, `UPDATE orders SET `+set+` WHERE id = $1`, o.ID)
				if refused, err := constraint(err); err != nil || refused != "orders_facts_fixed" {
					t.Fatalf("%s: got refused by %q, error %v; want orders_facts_fixed", set, refused, err)
				}
			},
			"": func(t *rapid.T) {
				got, err := s.Get(ctx, o.ID)
				if err != nil || got.State() != o.State() || got.CancelReason != o.CancelReason {
					t.Fatalf("got %s %q, error %v; want %s %q",
						got.State(), got.CancelReason, err, o.State(), o.CancelReason)
				}
			},
		})
	})
}

func TestAnOrderIsBornPending(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, status := range order.Statuses {
		_, err := db.Pool.Exec(t.Context(), `
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at, status, cancel_reason)
			SELECT gen_random_uuid(), 'alice', '[{}]', 1, 'JPY', clock_timestamp(), $1::text,
				CASE WHEN $1 IN ('CANCELLING', 'CANCELLED') THEN 'CUSTOMER' END`, status)
		want := "orders_born_pending"
		if status == order.Pending {
			want = ""
		}
		if got, err := constraint(err); err != nil || got != want {
			t.Errorf("%s: got refused by %q, error %v; want %q", status, got, err, want)
		}
	}
}
