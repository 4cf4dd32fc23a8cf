package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// stagePath is where the stage is.
const stagePath = "/stage"

// stageRoutes are there in every console, and only the one of `sagactl up` has something to show and to do.
func (c *Console) stageRoutes() []route {
	return []route{
		{"GET " + stagePath, c.staged(c.showStage)},
		{"POST " + stagePath + "/order", c.staged(c.order)},
		{"POST " + stagePath + "/play", c.staged(c.play)},
		{"POST " + stagePath + "/break", c.staged(c.breakPart)},
	}
}

// staged refuses what there is no stage for.
func (c *Console) staged(handle func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		if c.config.Stage == nil {
			return &problem{http.StatusNotFound, "problem.stage", nil}
		}
		return handle(v)
	}
}

// amounts are those of the buttons, in JPY: what they make the card network do is in the words.
var amounts = []int64{600, 9999, 9998, 9997, 9996}

// stageView is what the page shows.
type stageView struct {
	May     bool   // press buttons
	Placed  string // the order that was placed last; empty: none
	Amounts []int64
	Scene   Scene
	Faults  []faultView
	Busy    bool // the scenes cannot be played at present
	Left    sideView
	Right   sideView
}

// showStage answers with the page.
func (c *Console) showStage(v *visit) error {
	both, err := c.config.Stage.Twin(v.Context())
	if err != nil {
		return err
	}
	view := stageView{
		May: v.may, Amounts: amounts, Scene: c.config.Stage.Scene(),
		Left: newSide(both.Left), Right: newSide(both.Right),
	}
	now := time.Now()
	for _, f := range c.config.Stage.Faults() {
		view.Faults = append(view.Faults, faultView{f, now})
		view.Busy = view.Busy || !f.Until.IsZero() || f.By != ""
	}
	if id, err := uuid.Parse(v.URL.Query().Get("placed")); err == nil {
		view.Placed = id.String()
	}
	return v.show("stage", view)
}

func (c *Console) order(v *visit) error {
	amount, err := strconv.ParseInt(v.PostFormValue("amount"), 10, 64)
	if err != nil || !slices.Contains(amounts, amount) {
		return &problem{http.StatusBadRequest, "problem.amount", []any{v.PostFormValue("amount")}}
	}
	id, err := c.config.Stage.Order(v.Context(), amount)
	if err != nil {
		return err
	}
	return v.goTo(stagePath + "?placed=" + id)
}

func (c *Console) play(v *visit) error {
	if err := c.config.Stage.Play(v.Context()); err != nil {
		return v.busy(err)
	}
	return v.goTo(stagePath)
}

func (c *Console) breakPart(v *visit) error {
	name := v.PostFormValue("fault")
	if !slices.ContainsFunc(c.config.Stage.Faults(), func(f Fault) bool { return f.Name == name }) {
		return &problem{http.StatusBadRequest, "problem.fault", []any{name}}
	}
	if err := c.config.Stage.Break(v.Context(), name); err != nil {
		return v.busy(err)
	}
	return v.goTo(stagePath)
}

// busy says in the visitor's language what cannot be had at present.
func (v *visit) busy(err error) error {
	busy, ok := errors.AsType[*BusyError](err)
	if !ok {
		return err
	}
	name := func(who string) string { return v.view.words.text("stage.name." + who) }
	if busy.Until.IsZero() {
		return &problem{http.StatusConflict, "problem.busy", []any{name(busy.Wanted), name(busy.By)}}
	}
	return &problem{
		http.StatusConflict, "problem.busyuntil", []any{name(busy.Wanted), name(busy.By), clock(busy.Until)},
	}
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
