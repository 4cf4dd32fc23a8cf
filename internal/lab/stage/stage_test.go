package stage_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"hosho/internal/console"
	"hosho/internal/lab/demo"
	"hosho/internal/lab/stage"
)

// The figures are those of `sagactl demo --naive` and of `sagactl demo`, which play the same scenes.
func TestMoneyGoesMissingInTheTwinAndBalancesInHosho(t *testing.T) {
	t.Parallel()
	h := open(t, true, time.Hour)
	if got := h.books(t); placed(got.Left)+placed(got.Right) != 0 {
		t.Fatalf("got %+v, want no order yet", got)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "naive-paymentd.log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no paymentd for a twin that nobody uses", err)
	}
	if err := h.stage.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBusy(t, h.stage.Play(t.Context()), console.Scenes, console.Scenes)
	for _, f := range h.stage.Faults() {
		checkBusy(t, h.stage.Break(t.Context(), f.Name), f.Name, console.Scenes)
	}
	last := len(demo.Scenes())
	until(t, "the last scene is played", func() bool { return h.stage.Scene().Number == last })
	until(t, "the scenes are over", func() bool { return h.stage.Scene().Number == 0 })
	if failed := h.stage.Scene().Failed; failed != "" {
		t.Error(failed)
	}
	checkBooks(t, "after the scenes", h.books(t), console.Twin{
		Left: console.Books{
			Held: jpy(13698), Owed: jpy(1200), // of what is held, 9998 and 2500 belong to orders that are CANCELLED
			Orders:   map[string]int64{"COMPLETED": 1, "CANCELLED": 7},
			Payments: map[string]int64{"CHARGED": 3, "DECLINED": 1},
		},
		Right: console.Books{
			Held: jpy(14598), Owed: jpy(14598),
			Orders:   map[string]int64{"COMPLETED": 3, "CANCELLED": 5},
			Payments: map[string]int64{"CHARGED": 3, "DECLINED": 1, "REFUNDED": 1, "VOIDED": 3},
		},
	})
	for _, amount := range []int64{600, 9999, 9998, 9997, 9996} {
		h.order(t, amount)
	}
	until(t, "both worlds have all orders", func() bool {
		got := h.books(t)
		return placed(got.Left) == 13 && placed(got.Right) == 13
	})
	checkBooks(t, "after the buttons", h.books(t), console.Twin{
		Left: console.Books{
			Held: jpy(13698 + 600 + 9998), Owed: jpy(1200 + 600),
			Orders:   map[string]int64{"COMPLETED": 2, "CANCELLED": 11},
			Payments: map[string]int64{"CHARGED": 5, "DECLINED": 2},
		},
		Right: console.Books{
			Held: jpy(14598 + 600 + 9998), Owed: jpy(14598 + 600 + 9998),
			Orders:   map[string]int64{"COMPLETED": 5, "CANCELLED": 8},
			Payments: map[string]int64{"CHARGED": 5, "DECLINED": 2, "REFUNDED": 1, "VOIDED": 5},
		},
	})
}

func jpy(amount int64) map[string]int64 { return map[string]int64{"JPY": amount} }

func checkBooks(t *testing.T, when string, got, want console.Twin) {
	t.Helper()
	for side, books := range map[string][2]console.Books{
		"the twin": {got.Left, want.Left}, "hosho": {got.Right, want.Right},
	} {
		g, w := books[0], books[1]
		if !maps.Equal(g.Held, w.Held) || !maps.Equal(g.Owed, w.Owed) || !maps.Equal(g.Orders, w.Orders) ||
			!maps.Equal(g.Payments, w.Payments) {
			t.Errorf("%s: %s has %+v, want %+v", when, side, g, w)
		}
	}
}

func checkBusy(t *testing.T, err error, wanted, by string) {
	t.Helper()
	busy, ok := errors.AsType[*console.BusyError](err)
	if !ok || busy.Wanted != wanted || busy.By != by {
		t.Errorf("%s: got %v, want that it cannot be had because of %s", wanted, err, by)
	}
}

// No goroutine of the stage, its links or its connections is left.
func TestAClosedStageHoldsNothing(t *testing.T) {
	h := open(t, true, time.Hour)
	h.order(t, 9997)
	for _, f := range []string{"freeze-paymentd", "partition"} {
		if err := h.stage.Break(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.stage.Close(); err != nil {
		t.Fatal(err)
	}
	// The next one finds the twin's databases, and is closed in the midst of a scene.
	next := stage.New(h.Stack, h.links, time.Hour, func(text string) { t.Error(text) })
	if err := next.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the scenes have begun", func() bool { return next.Scene().Number > 0 })
	if err := errors.Join(next.Close(), h.Stop(), h.links.Close()); err != nil {
		t.Fatal(err)
	}
	var left bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&left, 1); err != nil {
		t.Fatal(err)
	}
	for _, mine := range []string{"lab/stage.(", "lab/proxy", "lab/demo", "grpc/internal/transport"} {
		if strings.Contains(left.String(), mine) {
			t.Errorf("%s is still at work:\n%s", mine, left.String())
		}
	}
}
