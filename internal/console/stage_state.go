package console

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"hosho/internal/plain"
)

// reader reads the stage's books for all who look at them.
type reader struct {
	Stage

	mu    sync.Mutex // guards what follows
	twin  Twin
	why   error     // they could not be read
	until time.Time // they are good
	busy  sync.Mutex
}

// newReader returns nil where there is no stage.
func newReader(s Stage) *reader {
	if s == nil {
		return nil
	}
	return &reader{Stage: s}
}

// booksInterval is how often the books are read, while somebody looks.
const booksInterval = time.Second

// read reads the books, unless that was done a moment ago.
func (r *reader) read(ctx context.Context) {
	r.busy.Lock()
	defer r.busy.Unlock()
	if r.isGood() {
		return
	}
	twin, err := r.Twin(ctx)
	if ctx.Err() != nil { // whoever asked has gone
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.twin, r.why, r.until = twin, err, time.Now().Add(booksInterval)
}

func (r *reader) isGood() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until)
}

// stageState is how the stage stands at one moment.
type stageState struct {
	Scene       Scene
	Faults      []faultView
	Left, Right sideView
	Why         string // the books could not be read
}

// Broken are the faults that are there, or could not be mended.
func (s *stageState) Broken() []faultView {
	return slices.DeleteFunc(slices.Clone(s.Faults), func(f faultView) bool { return !f.There() && f.Failed == "" })
}

// Amounts are those of the buttons.
func (s *stageState) Amounts() []int64 { return amounts }

// state returns how the stage stands, and nil where there is none.
func (r *reader) state() *stageState {
	if r == nil {
		return nil
	}
	s := &stageState{Scene: r.Scene()}
	now := time.Now()
	for _, f := range r.Faults() {
		s.Faults = append(s.Faults, faultView{f, now})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Left, s.Right = newSide(r.twin.Left), newSide(r.twin.Right)
	if r.why != nil {
		s.Why = plain.Text(r.why.Error())
	}
	return s
}

// faultView is a fault as a page shows it.
type faultView struct {
	Fault
	now time.Time
}

// Left is how many seconds it will still be there, at least one.
func (f faultView) Left() int64 {
	return max(1, int64(f.Until.Sub(f.now).Round(time.Second).Seconds()))
}

// There reports whether it is there.
func (f faultView) There() bool { return !f.Until.IsZero() }

// sideView is one of the two worlds as a page shows it.
type sideView struct {
	Money            []balance
	Orders, Payments []tally
	UnderWay         int64 // orders whose money may be on either side
}

// balance is the money of one currency.
type balance struct {
	Currency   string
	Held, Owed int64
}

// Spare is what is held for no order.
func (b balance) Spare() int64 { return max(0, b.Held-b.Owed) }

// Short is what orders were completed for, and nobody holds.
func (b balance) Short() int64 { return max(0, b.Owed-b.Held) }

// tally is how many there are of a status.
type tally struct {
	Status string
	Count  int64
}

// Class is the status as the style sheet has it.
func (t tally) Class() string { return strings.ToLower(t.Status) }

var (
	orderStatuses   = []string{"PENDING", "COMPLETED", "CANCELLING", "CANCELLED"}
	paymentStatuses = []string{"CHARGED", "DECLINED", "VOIDED", "REFUNDED"}
)

func newSide(b Books) sideView {
	s := sideView{
		Orders: tallies(b.Orders, orderStatuses), Payments: tallies(b.Payments, paymentStatuses),
		UnderWay: b.Orders["PENDING"] + b.Orders["CANCELLING"],
	}
	currencies := []string{"JPY"} // of the buttons
	for _, amounts := range []map[string]int64{b.Held, b.Owed} {
		for code := range amounts {
			currencies = append(currencies, code)
		}
	}
	slices.Sort(currencies)
	for _, code := range slices.Compact(currencies) {
		s.Money = append(s.Money, balance{code, b.Held[code], b.Owed[code]})
	}
	return s
}

func tallies(counts map[string]int64, statuses []string) (all []tally) {
	for _, status := range statuses {
		all = append(all, tally{status, counts[status]})
	}
	return all
}
