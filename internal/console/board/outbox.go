package board

import (
	"slices"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
)

// Flight is a command that a relay has taken up and that is not settled, or that waits for a person.
type Flight struct {
	Chip
	Kind     relayv1.ParkedCommand_Kind
	Attempts int32  // that were spent
	Code     string // what its last delivery came to; empty before the first
	Next     time.Time
	Lease    time.Time // a relay is at it, until then at the longest
	Alone    bool
	Parked   bool
	Why      relayv1.ParkedCommand_Why // it needs a person
}

// maxFlights is how many commands are known between two looks at the outbox.
const maxFlights = 2 * MaxOnTheWay

// outbox is what the relays say that waits, and what was told since.
type outbox struct {
	pages    map[relayv1.ParkedCommand_Kind]listed
	flights  []Flight // the oldest first
	backlogs map[string]counted
	breakers []Breaker
}

// listed is the oldest commands of a kind.
type listed struct {
	orders []Chip
	more   bool
}

func newOutbox() outbox {
	return outbox{pages: map[relayv1.ParkedCommand_Kind]listed{}, backlogs: map[string]counted{}}
}

// Commands takes in the oldest commands of a kind, as a relay answered when it was asked; more says that there are
// others. What was told since is newer.
func (b *Board) Commands(asked, now time.Time, kind relayv1.ParkedCommand_Kind, all []*relayv1.Command, more bool) {
	b.forget(now)
	page := listed{more: more}
	b.outbox.flights = slices.DeleteFunc(b.outbox.flights, func(f Flight) bool { return f.Kind == kind })
	there := map[string]bool{}
	for _, c := range all {
		there[c.GetCommand().GetOrderId()] = true
		chip := b.chipOf(c)
		if chip.Status == statusOf(kind) {
			page.orders = append(page.orders, chip)
		}
		if flight := flightOf(chip, c); !settled(chip.Status) && flight.isAirborne(c) {
			b.outbox.flights = append(b.outbox.flights, flight)
		}
	}
	b.outbox.pages[kind] = page
	if !more {
		b.vanished(asked, now, kind, there)
	}
}

// chipOf is the order of a command, as the newest that is known of it has it.
func (b *Board) chipOf(c *relayv1.Command) Chip {
	chip := Chip{
		OrderID: c.GetCommand().GetOrderId(), Amount: c.GetAmount().GetAmountMinor(),
		Currency: c.GetAmount().GetCurrencyCode(), Status: orderv1.Order_Status(c.GetOrderStatus()),
		Since: c.GetCommand().GetCreateTime().AsTime(),
	}
	if r := b.records[chip.OrderID]; r != nil && r.status >= chip.Status {
		chip.Status, chip.Reason = r.status, r.reason
		if !r.since.IsZero() {
			chip.Since = r.since
		}
	}
	return chip
}

// statusOf is the status of an order whose command is of a kind.
func statusOf(kind relayv1.ParkedCommand_Kind) orderv1.Order_Status {
	if kind == relayv1.ParkedCommand_KIND_VOID {
		return orderv1.Order_STATUS_CANCELLING
	}
	return orderv1.Order_STATUS_PENDING
}

func settled(s orderv1.Order_Status) bool {
	return s == orderv1.Order_STATUS_COMPLETED || s == orderv1.Order_STATUS_CANCELLED
}

func flightOf(chip Chip, c *relayv1.Command) Flight {
	command := c.GetCommand()
	f := Flight{
		Chip: chip, Kind: command.GetKind(), Attempts: command.GetAttempts(), Code: command.GetLastCode(),
		Alone: c.GetAlone(), Parked: command.GetParkTime() != nil, Why: command.GetWhy(),
	}
	if t := command.GetNextAttemptTime(); t != nil {
		f.Next = t.AsTime()
	}
	if t := command.GetLeaseEndTime(); t != nil {
		f.Lease = t.AsTime()
	}
	return f
}

// isAirborne reports whether anything was done about a command yet.
func (f Flight) isAirborne(c *relayv1.Command) bool {
	tried := c.GetCommand().GetClaims()+c.GetCommand().GetSends() > 0 // a hand-over makes the one of the other
	return tried || f.Parked || f.Why != relayv1.ParkedCommand_WHY_UNSPECIFIED
}

// vanishes is for how long an order is to be known, before one whose command is gone is taken to have been settled
// without a word: the word may be late.
const vanishes = 5 * time.Second

// vanished looks for orders that are under way as far as they were heard of, and whose command has left the outbox: a
// relay has settled them to which nobody listens.
func (b *Board) vanished(asked, now time.Time, kind relayv1.ParkedCommand_Kind, there map[string]bool) {
	var gone []*record
	look := func(r *record) {
		if r.status == statusOf(kind) && asked.Sub(r.touched) >= vanishes && !there[r.id] {
			gone = append(gone, r)
		}
	}
	for e := b.columns.pending.Front(); e != nil; e = e.Next() {
		look(e.Value.(*record))
	}
	for _, l := range b.columns.cancelling {
		look(l.record)
	}
	for _, r := range gone {
		b.ledger.note(now, Stranger, "")
		b.ledger.leaveOut(r)
		b.remove(r)
	}
}

// delivered takes in what a delivery came to.
func (b *Board) delivered(now, at time.Time, d *eventv1.Delivery) {
	o := &b.outbox
	i := slices.IndexFunc(o.flights, func(f Flight) bool {
		return f.OrderID == d.GetOrderId() && f.Kind == d.GetKind()
	})
	if d.GetMeaning() == relayv1.Attempt_MEANING_HANDED_OVER {
		return // it goes as it should
	}
	if d.GetMeaning() == relayv1.Attempt_MEANING_DECIDED {
		if i >= 0 {
			o.flights = slices.Delete(o.flights, i, i+1)
		}
		return
	}
	r := b.record(now, d.GetOrderId())
	if r == nil || r.settled() {
		return
	}
	if i < 0 && len(o.flights) < maxFlights {
		i = len(o.flights)
		o.flights = append(o.flights, Flight{Chip: r.chip(), Kind: d.GetKind()})
	}
	if i < 0 {
		return
	}
	f := &o.flights[i]
	f.Code, f.Attempts, f.Lease, f.Next = d.GetCode(), max(f.Attempts, d.GetAttempts()), time.Time{}, time.Time{}
	if d.GetRetryDelay() != nil {
		f.Next = at.Add(d.GetRetryDelay().AsDuration())
	}
}

// changed has no command of a kind be on the way that its order has left behind.
func (o *outbox) changed(r *record) {
	for kind, page := range o.pages {
		if r.status > statusOf(kind) || r.settled() {
			page.orders = without(page.orders, r.id)
			o.pages[kind] = page
		}
	}
	o.flights = slices.DeleteFunc(o.flights, func(f Flight) bool { return f.OrderID == r.id && r.settled() })
}
