package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// An order that fails is seen to be given up, in the moment in which consistency is kept, and nobody loads the page
// anew. One whose reply was lost is paid once, and never given up.
func TestAnOrderIsSeenWhileItIsGivenUp(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newVisitor(t).open(s.console())
	complaints := p.complaints()
	p.says("#ledger", "0")
	eval[bool](p, `window.same = true`)
	eval[bool](p, `(() => {
		window.given = new Set()
		const look = () => document.querySelectorAll("#cancelling .chip").forEach(c => given.add(c.title))
		new MutationObserver(look).observe(document.getElementById("cancelling"), {childList: true, subtree: true})
		return true
	})()`)

	lost, failed := s.order(9998, "ada"), s.order(9999, "ada")
	p.comes("the order in PENDING, or further", chip("main", failed))
	p.comes("the order in CANCELLING", chip("#cancelling", failed))
	p.comes("the order in CANCELLED", chip("#cancelled", failed))
	p.says("#cancelled .chip", "payment failed")
	p.comes("the other order in COMPLETED", chip("#completed", lost))
	p.says("#ledger", "9,998")
	p.comes("nothing in doubt", `document.querySelector("#ledger .doubt .completed") !== null`)
	if eval[bool](p, fmt.Sprintf(`given.has(%q)`, lost)) {
		t.Error("the order whose reply was lost was seen CANCELLING")
	}
	if !eval[bool](p, `window.same === true`) {
		t.Error("the page was loaded anew")
	}
	if said := complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(said, "; "))
	}
}

// chip is whether an order stands in a part of the page.
func chip(selector, id string) string {
	return fmt.Sprintf(`document.querySelector(%q) !== null`, selector+` [title="`+id+`"]`)
}

// While paymentd is away its badge and the breakers say so, and no order is lost from the board.
func TestAnOutageIsSeenAndNoOrderIsLost(t *testing.T) {
	t.Parallel()
	slow.Long(t, "kills paymentd of a whole system, and looks on in a browser")
	s := start(t, func(c *stack.Config) { c.Relays = 2 })
	p := newVisitor(t).open(s.console())
	badge := func(state string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#daemons li")].some(d =>
			d.textContent.includes(%q) && d.querySelector(".state.%s"))`, "paymentd", state)
	}
	p.comes("paymentd's badge", badge("completed"))
	s.Paymentd.Kill()
	seen := stopwatch(t, "paymentd's badge after it was killed")
	p.comes("that it is gone", badge("bad"))
	seen()

	const orders = 20
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = s.order(600, "ada")
	}
	seen = stopwatch(t, "the breaker after orders that nobody can pay")
	p.comes("an open breaker", `document.querySelector("#way .breakers .bad") !== null`)
	seen()
	p.comes("all orders in flight", fmt.Sprintf(`document.querySelector("#pace .flight").textContent === "%d"`, orders))
	for _, id := range ids {
		p.comes("an order on the board", chip("#pending", id))
	}

	must(t, s.Paymentd.Start())
	must(t, s.Paymentd.WaitReady(t.Context()))
	seen = stopwatch(t, "paymentd's badge after it is ready again")
	p.comes("that it is there", badge("completed"))
	seen()
	seen = stopwatch(t, "the breakers after it is ready again")
	p.comes("closed breakers", `document.querySelector("#way .breakers .bad") === null`)
	seen()
	for _, id := range ids {
		p.comes("an order that is paid", chip("#completed", id))
	}
	p.comes("none in flight", `document.querySelector("#pace .flight").textContent === "0"`)
}

// stopwatch logs how long something took to be seen. Nothing fails for it.
func stopwatch(t *testing.T, what string) func() {
	began := time.Now()
	return func() { t.Logf("%s: %v", what, time.Since(began).Round(10*time.Millisecond)) }
}

// Of a daemon that is gone the last state stays, and says of when it is; it comes back by itself. So does the page's
// own console.
func TestWhatWasSeenStaysWhileADaemonIsGone(t *testing.T) {
	t.Parallel()
	slow.Long(t, "stops and starts daemons, and looks on in a browser")
	s := start(t)
	p := newVisitor(t).open(s.console())
	paid := s.order(600, "ada")
	p.comes("the order in COMPLETED", chip("#completed", paid))
	must(t, s.Relays[0].Stop())
	p.comes("since when the relay is gone", `[...document.querySelectorAll("#daemons li")].some(d =>
		d.textContent.includes("relay") && d.querySelector(".state.bad"))`)
	p.comes("of when the backlog is", `document.querySelector("#way .stale") !== null`)
	p.comes("the order, still", chip("#completed", paid))
	waiting := s.order(700, "ada")
	p.comes("an order of meanwhile, which orderd tells", chip("#pending", waiting))
	must(t, s.Relays[0].Start())
	p.comes("the order of meanwhile, paid", chip("#completed", waiting))
	p.comes("a backlog that is not of before", `document.querySelector("#way .stale") === null`)
}

// Browsers have six connections to a place, and a stream takes one: windows share it.
func TestSevenWindowsLoad(t *testing.T) {
	t.Parallel()
	slow.Long(t, "opens seven windows of a browser")
	s := start(t)
	v := newVisitor(t)
	address := s.console()
	pages := []page{v.open(address)}
	for range 6 {
		pages = append(pages, v.openAnother(strings.Split(address, "?")[0]))
	}
	id := s.order(600, "ada")
	for _, p := range pages {
		p.comes("the order in COMPLETED", chip("#completed", id))
	}
}

// Whoever reads Japanese is told in Japanese.
func TestItSpeaksJapanese(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system and a browser")
	s := start(t)
	p := newVisitor(t).open("about:blank")
	p.reads("ja")
	p.open(s.console())
	if lang := eval[string](p, `document.documentElement.lang`); lang != "ja" {
		t.Errorf("got the language %q, want ja", lang)
	}
	id := s.order(600, "ada")
	p.comes("the order in COMPLETED", chip("#completed", id))
	p.says("#completed", "支払")
}
