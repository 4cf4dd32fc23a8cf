package board

import (
	"container/list"
	"slices"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
)

// How many orders a column shows at most.
const (
	MaxPending    = 60
	MaxOnTheWay   = 40
	MaxCancelling = 40
	MaxCompleted  = 30
	MaxCancelled  = 30
)

const (
	// visible is for how long an order is shown as CANCELLING at the least: most are CANCELLED before anybody could
	// have seen it.
	visible = 2 * time.Second
	// maxLingering is how many are shown so at the same time.
	maxLingering = 1000
)

// Chip is an order in a column.
type Chip struct {
	OrderID  string
	Amount   int64 // in the minor unit
	Currency string
	Status   orderv1.Order_Status // the latest, which may be a later one than the column's
	Reason   orderv1.Order_CancelReason
	Since    time.Time // by the clock of who told it
}

func (r *record) chip() Chip {
	return Chip{
		OrderID: r.id, Amount: r.amount, Currency: r.currency, Status: r.status, Reason: r.reason, Since: r.since,
	}
}

// columns are the orders by what they are.
type columns struct {
	pending    *list.List // of *record, the oldest first
	elements   map[string]*list.Element
	cancelling []lingering // those that were first shown first
	completed  []Chip      // the newest first
	cancelled  []Chip
}

// lingering is an order that is CANCELLING, or was a moment ago.
type lingering struct {
	*record
	shown time.Time
}

func newColumns() columns { return columns{pending: list.New(), elements: map[string]*list.Element{}} }

// changed has an order be where its status belongs.
func (c *columns) changed(now time.Time, r *record, change *eventv1.OrderChange) {
	if r.status != orderv1.Order_STATUS_PENDING {
		c.isNotPending(r)
	} else if c.elements[r.id] == nil {
		c.elements[r.id] = c.pending.PushBack(r)
	}
	to := change.GetTo()
	if to == orderv1.Order_STATUS_CANCELLING { // though it may be over, if another daemon was faster to tell
		c.completed = without(c.completed, r.id)
		c.cancelled = without(c.cancelled, r.id)
		c.cancelling = append(c.cancelling, lingering{r, now})
		r.lingers = true
	}
	if to != r.status {
		return
	}
	switch to {
	case orderv1.Order_STATUS_COMPLETED:
		c.completed = newest(c.completed, r.chip(), MaxCompleted)
	case orderv1.Order_STATUS_CANCELLED:
		c.completed = without(c.completed, r.id)
		if !r.lingers {
			c.cancelled = newest(c.cancelled, r.chip(), MaxCancelled)
		}
	}
}

// age moves on the orders that were shown as CANCELLING for long enough.
func (c *columns) age(now time.Time) {
	crowd := len(c.cancelling) - maxLingering
	c.cancelling = slices.DeleteFunc(c.cancelling, func(l lingering) bool {
		over := l.status == orderv1.Order_STATUS_CANCELLED && (now.Sub(l.shown) >= visible || crowd > 0)
		if over {
			crowd--
			l.lingers = false
			c.cancelled = newest(c.cancelled, l.chip(), MaxCancelled)
		}
		return over
	})
}

// forget has an order be in no column of those under way.
func (c *columns) forget(r *record) {
	c.isNotPending(r)
	if r.lingers {
		c.cancelling = slices.DeleteFunc(c.cancelling, func(l lingering) bool { return l.record == r })
	}
}

func (c *columns) isNotPending(r *record) {
	if element := c.elements[r.id]; element != nil {
		c.pending.Remove(element)
		delete(c.elements, r.id)
	}
}

func without(chips []Chip, id string) []Chip {
	return slices.DeleteFunc(chips, func(c Chip) bool { return c.OrderID == id })
}

func newest(chips []Chip, c Chip, most int) []Chip {
	chips = slices.Insert(without(chips, c.OrderID), 0, c)
	return chips[:min(len(chips), most)]
}
