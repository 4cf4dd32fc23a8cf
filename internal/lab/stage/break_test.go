package stage_test

import (
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"hosho/internal/console"
)

// While a fault is there, an order does not come through; then it does, and all is well in hosho.
func TestAFaultEndsByItself(t *testing.T) {
	t.Parallel()
	h := open(t, false, 2*time.Second)
	if err := h.stage.Break(t.Context(), "meteorite"); err == nil || !strings.Contains(err.Error(), "kill-paymentd") {
		t.Errorf("got %v, want an error that says what there is", err)
	}
	for _, f := range h.stage.Faults() {
		t.Run(f.Name, func(t *testing.T) { h.breakOnce(t, f.Name) })
	}
	close(h.told)
	for text := range h.told {
		t.Error(text)
	}
}

func (h *theatre) breakOnce(t *testing.T, name string) {
	if err := h.stage.Break(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	begun := h.fault(t, name)
	if begun.Until.IsZero() {
		t.Fatalf("got %+v, want that it is there", begun)
	}
	before := h.books(t)
	h.order(t, 600)
	until(t, "the order is settled", func() bool {
		now := h.now(t).Right
		return placed(now) == placed(before.Right)+1 && settled(now)
	})
	if early := time.Until(begun.Until); early > 0 {
		t.Errorf("the order is settled %v before the end of the fault", early)
	}
	until(t, "the fault is over", func() bool { return h.fault(t, name).Until.IsZero() })
	if f := h.fault(t, name); f.Failed != "" || f.By != "" {
		t.Errorf("got %+v, want that it can be had again", f)
	}
	for _, p := range h.Daemons() {
		if err := p.WaitReady(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var after console.Twin
	until(t, "the twin has the order, too", func() bool {
		after = h.books(t)
		return placed(after.Left) == placed(before.Left)+1
	})
	if !maps.Equal(after.Right.Held, after.Right.Owed) {
		t.Errorf("hosho holds %v and owes %v", after.Right.Held, after.Right.Owed)
	}
	// In the twin the same fault costs something: what was charged and not heard of is held for nothing.
	if lost := missing(after.Left) - missing(before.Left); name == "lose-replies" && lost != 600 {
		t.Errorf("the twin lost %d JPY, want 600: %+v, then %+v", lost, before.Left, after.Left)
	}
}

// missing is what is held for nothing.
func missing(b console.Books) int64 { return b.Held["JPY"] - b.Owed["JPY"] }

// now is what both worlds come to at present.
func (h *theatre) now(t *testing.T) console.Twin {
	t.Helper()
	both, err := h.stage.Twin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return both
}

// One fault of a part is there at a time; what breaks another part may be had besides.
func TestFaultsOfOnePartAreHadOneAfterTheOther(t *testing.T) {
	t.Parallel()
	h := open(t, false, time.Hour)
	for _, name := range []string{"freeze-paymentd", "kill-relay", "lose-replies"} {
		if err := h.stage.Break(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		checkBusy(t, h.stage.Break(t.Context(), name), name, name)
	}
	checkBusy(t, h.stage.Break(t.Context(), "kill-paymentd"), "kill-paymentd", "freeze-paymentd")
	checkBusy(t, h.stage.Break(t.Context(), "partition"), "partition", "lose-replies")
	checkBusy(t, h.stage.Play(t.Context()), console.Scenes, "freeze-paymentd")
	if got := h.fault(t, "partition"); got.By != "lose-replies" || !got.Until.IsZero() {
		t.Errorf("got %+v, want that it cannot be had because of lose-replies", got)
	}
	// The stage is closed in the midst of it all, with an order under way in the twin. Nothing is left, and paymentd,
	// which was frozen, stops in order with the rest.
	h.order(t, 9997)
	if err := h.stage.Close(); err != nil {
		t.Error(err)
	}
	if err := h.stage.Break(t.Context(), "partition"); err == nil {
		t.Error("a fault was had of a stage that is closed")
	}
	if _, err := h.stage.Order(t.Context(), 600); err == nil {
		t.Error("an order was placed on a stage that is closed")
	}
	if _, err := h.stage.Twin(t.Context()); err == nil {
		t.Error("the books of a stage that is closed were read")
	}
	if err := h.Stop(); err != nil {
		t.Error(err)
	}
}

// A daemon that cannot be started again is told, and another fault of the kind mends that.
func TestAPaymentdThatCannotComeBackIsTold(t *testing.T) {
	t.Parallel()
	h := open(t, false, time.Second)
	if err := h.stage.Break(t.Context(), "kill-paymentd"); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", h.Paymentd.Address)
	if err != nil {
		t.Fatal(err)
	}
	const want = "the address is in use"
	if told := <-h.told; !strings.Contains(told, want) {
		t.Errorf("got %q, want %q in it", told, want)
	}
	until(t, "the fault is over", func() bool { return h.fault(t, "kill-paymentd").Until.IsZero() })
	if got := h.fault(t, "kill-paymentd").Failed; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
	if err := h.stage.Break(t.Context(), "freeze-paymentd"); err == nil || !strings.Contains(err.Error(), "paymentd") {
		t.Errorf("got %v, want that a paymentd which does not run cannot be frozen", err)
	}
	if got := h.fault(t, "freeze-paymentd"); !got.Until.IsZero() {
		t.Errorf("got %+v, want that it is not there", got)
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.stage.Break(t.Context(), "kill-paymentd"); err != nil {
		t.Fatal(err)
	}
	until(t, "the fault is over", func() bool { return h.fault(t, "kill-paymentd").Until.IsZero() })
	if got := h.fault(t, "kill-paymentd").Failed; got != "" {
		t.Errorf("got %q, want paymentd back", got)
	}
	h.order(t, 600)
	if books := h.books(t); books.Right.Orders["COMPLETED"] != 1 {
		t.Errorf("got %+v, want the order COMPLETED", books.Right)
	}
}
