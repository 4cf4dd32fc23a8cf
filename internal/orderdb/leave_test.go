package orderdb

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// A change that was worked out from another status than the order has is a fault of the program. It is noticed by the
// count of rows, and nothing of its transaction happens.
func TestAStatusIsLeftByACompareAndSetWhoseCountDecides(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := New(db.Pool, func(order.Command, order.Order) ([]byte, error) { return []byte("a charge"), nil })
	ids := []string{"018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"}
	for _, id := range ids {
		_, _, err := s.Place(t.Context(), NewOrder{
			ID: id, CustomerID: "alice", Currency: "JPY", AmountMinor: 900,
			Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return leave(t.Context(), tx, []change{
			{id: ids[0], from: order.Pending, to: order.Completed},
			{id: ids[1], from: order.Completed, to: order.Cancelling, reason: order.ReasonCustomer},
		})
	})
	if got, want := err, "leave a status: got 1 rows, want 2"; got == nil || got.Error() != want {
		t.Errorf("got error %v, want %q", got, want)
	}
	for _, id := range ids {
		if o, err := s.Get(t.Context(), id); err != nil || o.Status != order.Pending {
			t.Errorf("got %s, error %v, want %s", o.Status, err, order.Pending)
		}
	}
}
