package board

import (
	"cmp"
	"slices"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// How many of the latest events are shown: of those that tell of something out of the ordinary, and of the others,
// which may be thousands a second.
const (
	maxUnusual = 14
	maxUsual   = 6
)

// Happening is one event and who told it, or how a daemon does now.
type Happening struct {
	Number          int64 // counts all that happened
	Daemon, Address string
	At              time.Time      // by the daemon's clock, if it has told it
	Event           *eventv1.Event // nil: the daemon is in another state
	State           string
}

// happened is the latest events, the oldest first.
type happened struct {
	number         int64
	usual, unusual []Happening
}

func (h *happened) add(what Happening) {
	if what.Event.GetBacklog() != nil { // somebody has asked, which is this console itself
		return
	}
	h.number++
	what.Number = h.number
	if isUsual(what.Event) {
		h.usual = latest(h.usual, what, maxUsual)
	} else {
		h.unusual = latest(h.unusual, what, maxUnusual)
	}
}

func latest(all []Happening, what Happening, most int) []Happening {
	all = append(all, what)
	return slices.Delete(all, 0, max(len(all)-most, 0))
}

// isUsual reports whether an event is one that each order has which is paid at once.
func isUsual(e *eventv1.Event) bool {
	switch what := e.GetWhat().(type) {
	case *eventv1.Event_Order:
		to := what.Order.GetTo()
		return to == orderv1.Order_STATUS_PENDING || to == orderv1.Order_STATUS_COMPLETED
	case *eventv1.Event_Delivery:
		m := what.Delivery.GetMeaning()
		return (m == relayv1.Attempt_MEANING_DECIDED || m == relayv1.Attempt_MEANING_HANDED_OVER) &&
			what.Delivery.GetKind() == relayv1.ParkedCommand_KIND_CHARGE && what.Delivery.GetClaim() <= 1
	case *eventv1.Event_Payment:
		return what.Payment.GetStatus() == paymentv1.Payment_STATUS_CHARGED && !what.Payment.GetRepeat()
	}
	return false
}

// all are the latest events, the newest first: by the daemons' clocks, since they tell in turns.
func (h *happened) all() []Happening {
	all := slices.Concat(h.usual, h.unusual)
	slices.SortFunc(all, func(a, b Happening) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Number, a.Number))
	})
	return all
}
