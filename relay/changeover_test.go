package main

import (
	"testing"
	"time"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
)

// A relay over a broker hands commands over, and nothing is heard of them. Another one, which calls paymentd, delivers
// them when they are due.
func TestATransportMayBeChangedAtAnyTime(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	over := m.trade()
	orders := m.placeMany(50)
	for _, o := range orders {
		m.awaitSend(o.ID, order.Charge, 1)
	}
	eventually(t, "all are handed over", func() bool {
		return m.count(`SELECT count(*) FROM outbox WHERE sends = 1 AND lease_token IS NULL`) == len(orders)
	})
	over.stop()
	m.peer.start()
	m.relay()
	m.drained()
	for _, o := range orders {
		if got := m.get(o.ID).Status; got != order.Completed {
			t.Errorf("got %s, want %s", got, order.Completed)
		}
	}
}

// What was handed over three times, and is due, is delivered as what is new: in calls that are as full and as few, and
// none of it alone.
func TestWhatWasHandedOverIsDeliveredAsWhatIsNew(t *testing.T) {
	t.Parallel()
	const orders, together = 500, 125 // as many as a claim takes
	for _, sends := range []int{0, 3} {
		s := newSystem(t)
		s.placeMany(orders)
		for range sends {
			s.handOver(orders)
		}
		s.relay()
		s.drained()
		arrivals := s.peer.all()
		for _, a := range arrivals {
			if a.alone || a.together != together {
				t.Fatalf("%d sends: got %+v, want it among %d", sends, a, together)
			}
		}
		if len(arrivals) != orders {
			t.Errorf("%d sends: got %d arrivals, want one for each of %d orders", sends, len(arrivals), orders)
		}
	}
}

// handOver hands so many charges over, as relays over a broker do, to be due again at once.
func (s *system) handOver(n int) {
	s.t.Helper()
	queue := outbox.NewQueue(s.db.Pool, orderdb.Outbox, string(order.Charge), time.Minute)
	messages, err := queue.Claim(s.t.Context(), n, 0)
	if err != nil || len(messages) != n {
		s.t.Fatalf("got %d of %d messages: %v", len(messages), n, err)
	}
	handed := make([]outbox.Handed, n)
	for i, m := range messages {
		handed[i] = outbox.Handed{Message: m, Code: "HANDED_OVER"}
	}
	if err := s.store.HandOver(s.t.Context(), handed); err != nil {
		s.t.Fatal(err)
	}
}
