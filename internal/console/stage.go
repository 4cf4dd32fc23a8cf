package console

import (
	"context"
	"fmt"
	"time"
)

// Stage is what only a system of `sagactl up` has: people may order at the press of a button, break it, and see beside
// it what would become of the same orders without hosho. Its methods may be called at any time.
type Stage interface {
	// Order places an order in both worlds, of an amount in JPY, and returns its id in hosho.
	Order(ctx context.Context, amountMinor int64) (orderID string, err error)
	// Play plays the scenes of the demo in both worlds, and does not wait for their end. A BusyError when they are
	// played already, or something is broken.
	Play(ctx context.Context) error
	// Scene is the scene that is played at present.
	Scene() Scene
	// Break makes a fault in both worlds, which ends by itself. A BusyError when what it would break is broken already.
	Break(ctx context.Context, fault string) error
	// Faults are all that there are, and how they stand.
	Faults() []Fault
	// Twin is what the databases of both worlds come to.
	Twin(ctx context.Context) (Twin, error)
}

// Fault is a way to break the system, as it stands at present.
type Fault struct {
	Name   string
	Until  time.Time // it is there until then; zero: it is not there
	By     string    // who has the part that it would break: another fault, or Scenes; empty: nobody
	Failed string    // why what it broke last is not whole; empty: it is
}

// Scenes is who has all parts while the scenes are played.
const Scenes = "scenes"

// Scene is a scene of the demo.
type Scene struct {
	Number, Of int    // from 1; 0 when none is played
	Amount     int64  // of its order, in JPY
	Outage     bool   // paymentd of both worlds is killed in it, and comes back
	Failed     string // why the scenes ended before the last one; empty: they did not
}

// BusyError says that a fault, or the scenes, cannot be had at present.
type BusyError struct {
	Wanted, By string    // faults, or Scenes
	Until      time.Time // zero: nobody knows
}

func (e *BusyError) Error() string {
	text := fmt.Sprintf("%s cannot be had now, because of %s", e.Wanted, e.By)
	if e.Wanted == e.By {
		text = e.By + " is under way already"
	}
	if e.Until.IsZero() {
		return text + ": wait for its end"
	}
	return text + ": it ends at " + clock(e.Until)
}

// Books are what the databases of one world come to.
type Books struct {
	Held     map[string]int64 // money held by currency, in minor units: charges less refunds
	Owed     map[string]int64 // the totals of the COMPLETED orders by currency
	Orders   map[string]int64 // orders by status
	Payments map[string]int64 // payments by status
}

// Twin is both worlds, side by side. A twin that has had no order yet has empty books.
type Twin struct {
	Left  Books // the obvious way
	Right Books // hosho: the whole system, whoever placed the orders
}
