package order

import "slices"

// Leaving is one way in which an order leaves a status: for which other one, and with which cancel reason then.
type Leaving struct {
	From, To Status
	Reason   CancelReason
}

// Leavings returns all ways in which some events make an order leave a status, each once, by asking Apply about every
// order that there can be.
func Leavings(events ...Event) (all []Leaving) {
	type standing struct {
		State
		reason CancelReason
	}
	orders := []standing{{State: State{Status: Pending}}}
	for i := 0; i < len(orders); i++ {
		o := orders[i]
		for _, e := range Events {
			t, err := Apply(o.State, e)
			if err != nil || !t.Changes(o.State) {
				continue
			}
			next := standing{State: t.To, reason: o.reason}
			if t.Reason != "" {
				next.reason = t.Reason
			}
			if !slices.Contains(orders, next) {
				orders = append(orders, next)
			}
			way := Leaving{From: o.Status, To: next.Status, Reason: next.reason}
			if slices.Contains(events, e) && !slices.Contains(all, way) {
				all = append(all, way)
			}
		}
	}
	return all
}
