package browsertest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"hosho/internal/slow"
)

var update = flag.Bool("update", false, "write the pictures of doc/console.md")

// In up the same orders go both ways. After the scenes money is missing on the left, and on the right it balances; the
// figures are those of the demo. A fault is seen, and ends.
func TestTheSameOrdersGoBothWays(t *testing.T) {
	t.Parallel()
	slow.Long(t, "plays all scenes in both worlds, in a browser")
	v := newVisitor(t)
	p := v.open(printed(t, "CONSOLE", "up", "--free-ports"))
	live := v.openAnother(p.here("/"))
	p.open(p.here("/stage"))
	axe := readAxe(t)
	eval[bool](p, axe+"; true")
	for _, finding := range violations(p) {
		t.Error(finding)
	}
	p.press(`form[action="/stage/play"] button`)
	live.comes("an order that is given up", `document.querySelector("#cancelling .chip") !== null`)
	live.picture("live")
	live.in("dark")
	live.picture("live-dark")
	live.in("light")
	p.says("#twin", "¥13,698")
	p.comes("the end of the scenes", `!document.querySelector("#scene").textContent.trim()`)
	p.says("#twin > :first-child", "¥1,200")
	p.says("#twin > :last-child", "¥14,598")
	p.picture("twin")

	p.press(`form[action="/stage/break"] button[value="kill-paymentd"]`)
	for range 12 {
		p.press(`form[action="/stage/order"] button[value="600"]`)
	}
	live.comes("that paymentd is gone", `document.querySelector("#daemons .bad") !== null`)
	live.comes("an open breaker", `document.querySelector("#way .breakers .bad") !== null`)
	live.picture("outage")
	live.comes("a closed breaker", `document.querySelector("#way .breakers .bad") === null`)
	live.comes("none in flight", `document.querySelector("#pace .flight").textContent === "0"`)
}

// press presses a button that leaves the page where it is.
func (p page) press(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// picture writes a picture of a page, as far as one sees it, if that is asked for.
func (p page) picture(name string) {
	p.t.Helper()
	if !*update {
		return
	}
	p.do(chromedp.EmulateViewport(1280, 860))
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	must(p.t, err)
	must(p.t, os.WriteFile(filepath.Join("..", "..", "doc", "console", name+".png"), png, 0o644))
}
