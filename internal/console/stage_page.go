package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

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
		if c.stage == nil {
			return &problem{http.StatusNotFound, "problem.stage", nil}
		}
		return handle(v)
	}
}

// amounts are those of the buttons, in JPY: what they make the card network do is in the words.
var amounts = []int64{600, 9999, 9998, 9997, 9996}

// stagePage is what the page shows: how the stage stands, and beside it what the buttons are, which do not change.
type stagePage struct {
	Stage  *stageState
	Placed string // the order that was placed last; empty: none
}

// showStage answers with the page.
func (c *Console) showStage(v *visit) error {
	c.stage.read(v.Context())
	page := stagePage{Stage: c.stage.state()}
	if id, err := uuid.Parse(v.URL.Query().Get("placed")); err == nil {
		page.Placed = id.String()
	}
	return v.show("stage", page)
}

func (c *Console) order(v *visit) error {
	amount, err := strconv.ParseInt(v.PostFormValue("amount"), 10, 64)
	if err != nil || !slices.Contains(amounts, amount) {
		return &problem{http.StatusBadRequest, "problem.amount", []any{v.PostFormValue("amount")}}
	}
	id, err := c.stage.Order(v.Context(), amount)
	if err != nil {
		return err
	}
	return v.goTo(stagePath + "?placed=" + id)
}

func (c *Console) play(v *visit) error {
	if err := c.stage.Play(v.Context()); err != nil {
		return v.busy(err)
	}
	return v.goTo(stagePath)
}

func (c *Console) breakPart(v *visit) error {
	name := v.PostFormValue("fault")
	if !slices.ContainsFunc(c.stage.Faults(), func(f Fault) bool { return f.Name == name }) {
		return &problem{http.StatusBadRequest, "problem.fault", []any{name}}
	}
	if err := c.stage.Break(v.Context(), name); err != nil {
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
