package board

import (
	"slices"
	"time"

	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
)

// State is a board at one moment.
type State struct {
	At         time.Time
	Began      time.Time // since when the ledger counts
	Incomplete *Incomplete
	Ledger     []Line // by currency; empty as long as no order counts

	Pending, Cancelling, Completed, Cancelled Column
	OnTheWay                                  []Flight // the oldest first
	MoreOnTheWay                              int64

	Counted  time.Time // when the backlog was counted last; zero: not yet
	Kinds    []Kind
	Breakers []Breaker
	Rates    Rates
	Happened []Happening // the newest first
}

// Column is orders of a status.
type Column struct {
	Chips []Chip
	More  int64 // that are not among them, as far as that is known
}

// InFlight is how many commands are in the outbox.
func (s State) InFlight() (all int64) {
	for _, k := range s.Kinds {
		all += k.All()
	}
	return all
}

// InDoubt is how many orders' sides differ, in all currencies.
func (s State) InDoubt() (all int64) {
	for _, l := range s.Ledger {
		all += l.InDoubt
	}
	return all
}

// Open reports whether a breaker is open.
func (s State) Open() bool {
	return slices.ContainsFunc(s.Breakers, func(b Breaker) bool { return b.Open })
}

// State is the board now.
func (b *Board) State(now time.Time) State {
	b.forget(now)
	b.columns.age(now)
	kinds, at := b.outbox.kinds()
	s := State{
		At: now, Began: b.ledger.began, Ledger: b.ledger.all(),
		Completed: Column{Chips: slices.Clone(b.columns.completed)},
		Cancelled: Column{Chips: slices.Clone(b.columns.cancelled)},
		Counted:   at, Kinds: kinds, Breakers: slices.Clone(b.outbox.breakers),
		Rates: b.pace.rates(now), Happened: b.happened.all(),
	}
	if known := b.ledger.incomplete; known != nil {
		now := *known
		s.Incomplete = &now
	}
	s.Pending = b.pending(kinds[0].All())
	s.Cancelling = b.cancelling(kinds[1].All())
	s.OnTheWay = slices.Clone(b.outbox.flights)
	slices.SortStableFunc(s.OnTheWay, func(a, b Flight) int { return a.Since.Compare(b.Since) })
	s.OnTheWay = s.OnTheWay[:min(len(s.OnTheWay), MaxOnTheWay)]
	s.MoreOnTheWay = max(int64(len(b.outbox.flights)-len(s.OnTheWay)), 0)
	return s
}

// pending are the oldest orders that wait to be paid: those in the outbox when it was looked at, and those that were
// accepted since.
func (b *Board) pending(counted int64) Column {
	page := b.outbox.pages[relayv1.ParkedCommand_KIND_CHARGE]
	chips := slices.Clone(page.orders)
	known := int64(len(b.columns.elements))
	if !page.more { // else those that were accepted since are not among the oldest
		for e := b.columns.pending.Front(); e != nil && len(chips) < 2*MaxPending; e = e.Next() {
			chips = append(chips, e.Value.(*record).chip())
		}
	}
	return column(chips, MaxPending, max(known, counted))
}

// cancelling are the orders that are given up, and those that were a moment ago.
func (b *Board) cancelling(counted int64) Column {
	chips := slices.Clone(b.outbox.pages[relayv1.ParkedCommand_KIND_VOID].orders)
	known := int64(0)
	for _, l := range b.columns.cancelling {
		chip := l.chip()
		chips = append(chips, chip)
		if chip.Status == orderv1.Order_STATUS_CANCELLING {
			known++
		}
	}
	over := int64(len(b.columns.cancelling)) - known
	return column(chips, MaxCancelling, max(known, counted)+over)
}

// column is the oldest of some orders, each of them once.
func column(chips []Chip, most int, all int64) Column {
	slices.SortStableFunc(chips, func(a, b Chip) int { return a.Since.Compare(b.Since) })
	seen := map[string]bool{}
	chips = slices.DeleteFunc(chips, func(c Chip) bool {
		again := seen[c.OrderID]
		seen[c.OrderID] = true
		return again
	})
	if len(chips) < most { // all of them are there, whatever was counted a moment ago
		return Column{Chips: chips}
	}
	all = max(all, int64(len(chips)))
	return Column{chips[:most], all - int64(most)}
}
