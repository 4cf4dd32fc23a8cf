package orderdb_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

func redrive(t testing.TB, s *orderdb.Store, id string) orderdb.Redriven {
	t.Helper()
	done, err := s.Redrive(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// damage runs a statement about an order.
func damage(t testing.TB, db *pgtest.Database, sql, id string) {
	t.Helper()
	tag, err := db.Pool.Exec(t.Context(), sql, id)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: got %s, error %v, want a row", sql, tag, err)
	}
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	const (
		lose = `DELETE FROM outbox WHERE key = $1 AND kind = `
		wait = `UPDATE outbox SET ready_at = clock_timestamp() + '1 day' WHERE key = $1`
		hold = `
			UPDATE outbox
			SET ready_at = clock_timestamp() + '1 day', lease_token = gen_random_uuid()
			WHERE key = $1`
		die  = `UPDATE outbox SET lease_token = gen_random_uuid() WHERE key = $1`
		park = `UPDATE outbox SET parked_at = clock_timestamp() WHERE key = $1`
	)
	charge, void := []string{"CHARGE"}, []string{"VOID"}
	tests := []struct {
		name   string
		status order.Status
		damage string
		did    orderdb.Driven
		again  orderdb.Driven // the second time
		want   []string       // the commands afterwards
	}{
		{"PENDING without its CHARGE", order.Pending, lose + `'CHARGE'`, orderdb.PutBack, orderdb.WasDue, charge},
		{
			"CANCELLING without its VOID", order.Cancelling, lose + `'VOID'`,
			orderdb.PutBack, orderdb.WasDue,
			[]string{"CHARGE", "VOID"},
		},
		{
			"CANCELLING without any", order.Cancelling, `DELETE FROM outbox WHERE key = $1`,
			orderdb.PutBack, orderdb.WasDue, void,
		},
		{"waits", order.Pending, wait, orderdb.MadeDue, orderdb.WasDue, charge},
		{"held", order.Pending, hold, orderdb.Held, orderdb.Held, charge},
		{"held by a relay that died", order.Pending, die, orderdb.WasDue, orderdb.WasDue, charge},
		{"parked", order.Pending, park, orderdb.Parked, orderdb.Parked, charge},
		{"nothing wrong", order.Pending, "", orderdb.WasDue, orderdb.WasDue, charge},
		{"COMPLETED", order.Completed, "", orderdb.Settled, orderdb.Settled, nil},
		{"CANCELLED", order.Cancelled, "", orderdb.Settled, orderdb.Settled, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			o := placed(t, db, tt.status)
			if tt.damage != "" {
				damage(t, db, tt.damage, o.ID)
			}
			if got := redrive(t, s, o.ID); got.Did != tt.did {
				t.Errorf("got %v, want %v", got.Did, tt.did)
			}
			if got := redrive(t, s, o.ID); got.Did != tt.again {
				t.Errorf("the second time: got %v, want %v", got.Did, tt.again)
			}
			if got := commands(t, db.Pool, o.ID); !slices.Equal(got, tt.want) {
				t.Errorf("got commands %q, want %q", got, tt.want)
			}
			if after := get(t, s, o.ID); after.Status != o.Status || !after.UpdatedAt.Equal(o.UpdatedAt) {
				t.Errorf("got the order %s of %s, want it untouched: %s of %s",
					after.Status, after.UpdatedAt, o.Status, o.UpdatedAt)
			}
		})
	}
}

func TestRedriveOfAnUnknownOrder(t *testing.T) {
	t.Parallel()
	s := orderdb.New(pgtest.Orders(t).Pool, command.Encode)
	if _, err := s.Redrive(t.Context(), uuid.NewString()); !errors.Is(err, orderdb.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func decoded(t *testing.T, kind, orderID string, payload []byte) proto.Message {
	t.Helper()
	c, err := command.Decode(order.Command(kind), orderID, payload)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is put back says what Place and Cancel would have written, whichever of protobuf's encodings that had; a VOID is
// younger than a CHARGE that is left, so that the claim passes over that.
func TestWhatIsPutBackIsWhatWasLost(t *testing.T) {
	t.Parallel()
	type row struct {
		Payload   []byte
		ExpiresAt *time.Time
	}
	for status, kind := range map[order.Status]string{order.Pending: "CHARGE", order.Cancelling: "VOID"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			o := placed(t, db, status)
			read := func() row {
				rows, _ := db.Pool.Query(t.Context(), `
					SELECT payload, expires_at
					FROM outbox
					WHERE key = $1 AND kind = $2`, o.ID, kind)
				r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			before := read()
			damage(t, db, `DELETE FROM outbox WHERE kind = '`+kind+`' AND key = $1`, o.ID)
			redrive(t, s, o.ID)
			after := read()
			got, want := decoded(t, kind, o.ID, after.Payload), decoded(t, kind, o.ID, before.Payload)
			if !proto.Equal(got, want) {
				t.Errorf("got the command %v, want %v", got, want)
			}
			if diff := cmp.Diff(before.ExpiresAt, after.ExpiresAt); diff != "" {
				t.Errorf("expires_at (-before +after):\n%s", diff)
			}
			if claimed := claimAll(t, db.Pool, time.Minute, 10, 1); len(claimed) != 1 || claimed[0].Kind != kind {
				t.Errorf("got the claim %v, want the %s alone", claimed, kind)
			}
		})
	}
}

// A relay holds the order's lock and is about to settle it when the repair comes, having seen the order PENDING and
// without its CHARGE. The repair waits, and finds that there is nothing left to do.
func TestRedriveWaitsForARelayThatSettles(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	damage(t, db, `DELETE FROM outbox WHERE key = $1`, o.ID)
	relay, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Exec(t.Context(), `UPDATE orders SET status = 'COMPLETED' WHERE id = $1`, o.ID); err != nil {
		t.Fatal(err)
	}
	var got orderdb.Redriven
	var repair sync.WaitGroup
	repair.Go(func() { got, err = s.Redrive(t.Context(), o.ID) })
	awaitBlocked(t, db, 1)
	if err := relay.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	repair.Wait()
	if err != nil || got.Did != orderdb.Settled || got.Order.Status != order.Completed {
		t.Errorf("got %+v, error %v, want the order COMPLETED and nothing done", got, err)
	}
	if left := commands(t, db.Pool, o.ID); len(left) > 0 {
		t.Errorf("got commands %q for a settled order, want none", left)
	}
}

// Many repairs of one order at once put back one command.
func TestRepairsAtOncePutBackOne(t *testing.T) {
	t.Parallel()
	const repairs = 8
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Cancelling)
	damage(t, db, `DELETE FROM outbox WHERE key = $1`, o.ID)
	done := make(chan orderdb.Driven, repairs)
	var all sync.WaitGroup
	for range repairs {
		all.Go(func() {
			got, err := s.Redrive(t.Context(), o.ID)
			if err != nil {
				t.Error(err)
			}
			done <- got.Did
		})
	}
	all.Wait()
	close(done)
	put := 0
	for did := range done {
		if did == orderdb.PutBack {
			put++
		}
	}
	if got := commands(t, db.Pool, o.ID); put != 1 || !slices.Equal(got, []string{"VOID"}) {
		t.Errorf("got %d put back and the commands %q, want one VOID", put, got)
	}
}
