package board_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "hosho/gen/event/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/console/board"
)

// Compensation takes milliseconds. It is shown for long enough to be seen, whichever daemon is faster to tell.
func TestCancellingIsSeen(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(b *board.Board, o order){
		"in its order": func(b *board.Board, o order) {
			told(b, noon, "orderd", o.accepted(noon), o.changes(noon, pending, cancelling))
			told(b, noon, "relay", o.changes(noon, cancelling, cancelled))
		},
		"the end first": func(b *board.Board, o order) {
			told(b, noon, "relay", o.changes(noon, cancelling, cancelled))
			told(b, noon, "orderd", o.accepted(noon), o.changes(noon, pending, cancelling))
		},
	} {
		b, o := board.New(noon), anOrder(1, 9999)
		tell(b, o)
		s := b.State(noon.Add(1999 * time.Millisecond))
		if len(s.Cancelling.Chips) != 1 || s.Cancelling.Chips[0].Status != cancelled || len(s.Cancelled.Chips) > 0 {
			t.Errorf("%s: got %+v, %+v; want it to be seen CANCELLING", name, s.Cancelling, s.Cancelled)
		}
		s = b.State(noon.Add(2 * time.Second))
		if len(s.Cancelling.Chips) > 0 || len(s.Cancelled.Chips) != 1 {
			t.Errorf("%s: got %+v, %+v; want it to be CANCELLED then", name, s.Cancelling, s.Cancelled)
		}
	}
}

// An order that nobody has decided stays, however long that takes.
func TestNoOrderUnderWayIsLost(t *testing.T) {
	t.Parallel()
	b, waits, given := board.New(noon), anOrder(1, 600), anOrder(2, 700)
	told(b, noon, "orderd", waits.accepted(noon), given.accepted(noon), given.changes(noon, pending, cancelling))
	s := b.State(noon.Add(time.Hour))
	if len(s.Pending.Chips) != 1 || s.Pending.Chips[0].OrderID != waits.id {
		t.Errorf("got %+v, want the order that waits", s.Pending)
	}
	if len(s.Cancelling.Chips) != 1 || s.Cancelling.Chips[0].OrderID != given.id {
		t.Errorf("got %+v, want the order that is given up", s.Cancelling)
	}
}

// The page has no more chips than a person can take in, and a browser can draw; it says how many more there are.
func TestColumnsAreBounded(t *testing.T) {
	t.Parallel()
	b := board.New(noon)
	for n := range 5000 {
		o := anOrder(n, 600)
		switch told(b, noon, "orderd", o.accepted(noon)); n % 5 {
		case 0:
			told(b, noon, "relay", o.changes(noon, pending, cancelling))
		case 1:
			told(b, noon, "relay", o.changes(noon, pending, completed))
		case 2:
			told(b, noon, "relay", o.changes(noon, pending, cancelled))
		case 3:
			told(b, noon, "relay", o.delivers(noon, charge, "UNAVAILABLE", time.Second))
		}
	}
	s := b.State(noon)
	chips := len(s.OnTheWay)
	for name, tt := range map[string]struct {
		got  board.Column
		most int
		more int64
	}{
		"pending":    {s.Pending, board.MaxPending, 2000 - board.MaxPending},
		"cancelling": {s.Cancelling, board.MaxCancelling, 1000 - board.MaxCancelling},
		"completed":  {s.Completed, board.MaxCompleted, 0},
		"cancelled":  {s.Cancelled, board.MaxCancelled, 0},
	} {
		if len(tt.got.Chips) != tt.most || tt.got.More != tt.more {
			t.Errorf("%s: got %d and %d more, want %d and %d", name, len(tt.got.Chips), tt.got.More, tt.most, tt.more)
		}
		chips += len(tt.got.Chips)
	}
	if chips > 200 {
		t.Errorf("got %d chips, want 200 at most", chips)
	}
	if first := s.Pending.Chips[0].OrderID; first != anOrder(3, 0).id {
		t.Errorf("got %s first, want the oldest that is PENDING", first)
	}
	if last := s.Completed.Chips[0].OrderID; last != anOrder(4996, 0).id {
		t.Errorf("got %s first, want the order that was COMPLETED last", last)
	}
}

// More orders are under way than are kept. The board says so, and takes no more.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := board.New(noon)
	for n := range 100_001 {
		told(b, noon, "orderd", anOrder(n, 600).accepted(noon))
	}
	s := b.State(noon)
	if s.Incomplete == nil || s.Incomplete.Why != board.TooMany {
		t.Errorf("got %+v, want it incomplete", s.Incomplete)
	}
	if all := int64(len(s.Pending.Chips)) + s.Pending.More; all != 100_000 {
		t.Errorf("got %d orders, want 100000", all)
	}
}

// The outbox is the truth of what waits: orders of before the console looked are in it, and what was told since it was
// asked is newer.
func TestTheOutboxSaysWhatWaits(t *testing.T) {
	t.Parallel()
	b, before, meanwhile, since := board.New(noon), anOrder(1, 600), anOrder(2, 700), anOrder(3, 800)
	told(b, noon, "relay", meanwhile.changes(noon, pending, completed))
	b.Commands(noon, noon, charge, []*relayv1.Command{
		before.command(charge, pending, 3), meanwhile.command(charge, pending, 1),
	}, false)
	told(b, noon, "orderd", since.accepted(noon.Add(time.Millisecond)))
	s := b.State(noon)
	var ids []string
	for _, c := range s.Pending.Chips {
		ids = append(ids, c.OrderID)
	}
	if len(ids) != 2 || ids[0] != before.id || ids[1] != since.id {
		t.Errorf("got %v, want the order of before and then the one that was accepted since", ids)
	}
	if len(s.OnTheWay) != 1 || s.OnTheWay[0].OrderID != before.id {
		t.Errorf("got %+v, want the command that was taken up and is not settled", s.OnTheWay)
	}
	told(b, noon, "relay", before.delivers(noon, charge, "UNAVAILABLE", 2*time.Second))
	if f := b.State(noon).OnTheWay[0]; f.Code != "UNAVAILABLE" || !f.Next.Equal(noon.Add(2*time.Second)) {
		t.Errorf("got %+v, want what its last delivery came to, and when the next one is", f)
	}
	told(b, noon, "relay", before.changes(noon, pending, completed))
	if s := b.State(noon); len(s.OnTheWay) > 0 || len(s.Pending.Chips) != 1 {
		t.Errorf("got %+v, %+v; want it on the way no more", s.OnTheWay, s.Pending)
	}
}

// A hand-over to a broker leaves no claim. The command is on its way all the same.
func TestWhatWasHandedOverIsOnTheWay(t *testing.T) {
	t.Parallel()
	b, handed, untouched := board.New(noon), anOrder(1, 600).command(charge, pending, 0), anOrder(2, 700)
	handed.Command.Sends = 1
	b.Commands(noon, noon, charge, []*relayv1.Command{handed, untouched.command(charge, pending, 0)}, false)
	if s := b.State(noon); len(s.OnTheWay) != 1 || s.OnTheWay[0].OrderID != handed.GetCommand().GetOrderId() {
		t.Errorf("got %+v, want the one that was handed over", s.OnTheWay)
	}
}

// Relays count one outbox: the largest count is the backlog. Each has a breaker of its own.
func TestTheBacklogOfSeveralRelays(t *testing.T) {
	t.Parallel()
	b := board.New(noon)
	backlog := func(due int64, open bool) *relayv1.GetBacklogResponse {
		return &relayv1.GetBacklogResponse{Kinds: []*relayv1.KindBacklog{
			{Kind: charge, Due: due, Waiting: 1, BreakerOpen: open, OldestAge: durationpb.New(time.Second)},
			{Kind: void},
		}}
	}
	b.Backlog(noon, "relay:1", backlog(3, false))
	b.Backlog(noon, "relay:2", backlog(5, true))
	s := b.State(noon)
	if s.InFlight() != 6 || !s.Open() || s.Kinds[0].Oldest != time.Second {
		t.Errorf("got %+v, %+v; want the larger backlog and a breaker that is open", s.Kinds, s.Breakers)
	}
	opened := noon.Add(-time.Second)
	change := &eventv1.BreakerChange{Kind: charge, Open: true, Code: "UNAVAILABLE"}
	b.Tell(noon, "relay", "relay:1", []*eventv1.Event{{
		CreateTime: timestamppb.New(opened), What: &eventv1.Event_Breaker{Breaker: change},
	}})
	later := noon.Add(10 * time.Second)
	b.Backlog(later, "relay:1", backlog(1, true)) // the other one is away
	s = b.State(later)
	want := board.Breaker{Address: "relay:1", Kind: charge, Open: true, Since: opened, Code: "UNAVAILABLE"}
	if s.InFlight() != 2 || s.Breakers[0] != want {
		t.Errorf("got %+v, %+v; want the newer backlog, and the breaker %+v", s.Kinds, s.Breakers, want)
	}
}

// Rates and latencies are those of the last seconds, and what was before is past.
func TestRatesAreOfTheLastSeconds(t *testing.T) {
	t.Parallel()
	b, now := board.New(noon), noon
	for n := range 20 * 50 {
		now = noon.Add(time.Duration(n) * 20 * time.Millisecond)
		o := anOrder(n, 600)
		told(b, now, "relay", o.changes(now.Add(8*time.Millisecond), pending, completed)) // faster than the other
		told(b, now, "orderd", o.accepted(now))
	}
	got := b.State(now).Rates
	if got.Accepted < 49 || got.Accepted > 51 || got.Completed != got.Accepted || got.Cancelled != 0 {
		t.Errorf("got %+v, want 50 a second", got)
	}
	for _, d := range []time.Duration{got.P50, got.P99} {
		if d < 8*time.Millisecond || d > 9*time.Millisecond {
			t.Errorf("got %+v, want 8 ms and an eighth more at most", got)
		}
	}
	if got := b.State(now.Add(11 * time.Second)).Rates; got != (board.Rates{}) {
		t.Errorf("got %+v after a while, want nothing", got)
	}
}

// What is out of the ordinary is not washed away by thousands of orders that go well.
func TestWhatIsOutOfTheOrdinaryStays(t *testing.T) {
	t.Parallel()
	b, refused := board.New(noon), anOrder(0, 9999)
	told(b, noon, "relay", refused.delivers(noon, charge, "INTERNAL", time.Second))
	for n := range 1000 {
		told(b, noon, "orderd", anOrder(n, 600).accepted(noon))
	}
	all := b.State(noon).Happened
	if len(all) != 7 || all[6].Event.GetDelivery().GetCode() != "INTERNAL" || all[0].Number != 1001 {
		t.Errorf("got %+v, want the delivery that failed among the last orders", all)
	}
}
