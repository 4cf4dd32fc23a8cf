package browsertest

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"hosho/internal/slow"
	"hosho/internal/wait"
)

// At two hundred orders a second the page has no more on it than a person can look at, and comes to rest afterwards.
// How much of a core its scripts take is logged.
func TestABusyPageStaysSmall(t *testing.T) {
	t.Parallel()
	slow.Long(t, "orders for ten seconds")
	const perSecond, seconds = 200, 10
	s := start(t)
	p := newVisitor(t).open(s.console())
	p.says("#ledger", "0")
	_, err := chromedp.Call(p.ctx, performance.Enable, performance.EnableParams{})
	must(t, err)
	eval[bool](p, `(() => {
		window.most = 0
		const look = () => { most = Math.max(most, document.querySelectorAll(".chip").length) }
		new MutationObserver(look).observe(document.querySelector(".columns"), {childList: true, subtree: true})
		return true
	})()`)
	began, before := time.Now(), scripts(p)
	for n := range perSecond * seconds {
		wait.For(t.Context(), time.Until(began.Add(time.Duration(n)*time.Second/perSecond)))
		s.order(100, "ada")
	}
	took := time.Since(began)
	t.Logf("%d orders in %v: the page's scripts took %.1f %% of a core", perSecond*seconds, took,
		100*(scripts(p)-before)/took.Seconds())
	p.comes("none in flight", `document.querySelector("#pace .flight").textContent === "0"`)
	p.says("#ledger", "200,000")
	if most := eval[int](p, `most`); most > 200 {
		t.Errorf("got %d chips at a time, want at most 200", most)
	} else {
		t.Logf("%d chips at a time at most", most)
	}
}

// scripts is how long scripts of a page have run, in seconds.
func scripts(p page) float64 {
	p.t.Helper()
	all, err := chromedp.Call(p.ctx, performance.GetMetrics, cdp.Empty{})
	must(p.t, err)
	for _, m := range all.Metrics {
		if m.Name == "ScriptDuration" {
			return m.Value
		}
	}
	p.t.Fatal("the browser tells no ScriptDuration")
	return 0
}
