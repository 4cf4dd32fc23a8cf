package orderdb_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// A note is borne out by its order alone, in every field, and by none once the deadline has passed.
func TestANoteIsDoubtfulUnlessItsOrderBearsItOut(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	note := func(o order.Order) orderdb.Note {
		return orderdb.Note{
			OrderID: uuid.MustParse(o.ID), Status: o.Status, CustomerID: o.CustomerID, AmountMinor: o.AmountMinor,
			Currency: o.Currency, DeadlineAt: o.DeadlineAt,
		}
	}
	pending, cancelling := note(place(t, s, newOrder())), place(t, s, newOrder())
	cancelling, _, err := s.Cancel(t.Context(), cancelling.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	void := note(cancelling)
	void.DeadlineAt = time.Time{}
	short := newOrder()
	short.Deadline = time.Microsecond
	notes := []orderdb.Note{pending, void, note(place(t, s, short))}
	for _, change := range []func(*orderdb.Note){
		func(n *orderdb.Note) { n.OrderID = uuid.New() },
		func(n *orderdb.Note) { n.Status = order.Cancelling },
		func(n *orderdb.Note) { n.CustomerID = "mallory" },
		func(n *orderdb.Note) { n.AmountMinor++ },
		func(n *orderdb.Note) { n.Currency = "EUR" },
		func(n *orderdb.Note) { n.DeadlineAt = n.DeadlineAt.Add(time.Microsecond) },
	} {
		changed := pending
		change(&changed)
		notes = append(notes, changed)
	}
	notes = append(notes, pending)
	got, err := s.Doubtful(t.Context(), notes)
	slices.Sort(got)
	if want := []int{2, 3, 4, 5, 6, 7, 8}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, error %v; want %v", got, err, want)
	}
}
