package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long anything on a page may take. It fails a test and measures nothing.
const patience = 30 * time.Second

// browser is the one Chromium of all tests; nil: there is none on this machine.
var browser context.Context

// names are those that Chromium has.
var names = []string{
	"chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
}

func TestMain(m *testing.M) {
	code := run(m)
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	path := find()
	if path == "" {
		return m.Run()
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.WindowSize(1400, 1000))
	if os.Getuid() == 0 { // whose processes Chromium cannot put into its sandbox
		options = append(options, chromedp.NoSandbox)
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, stop := chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "browsertest: %s does not start: %v\n", path, err)
		return 1
	}
	browser = ctx
	return m.Run()
}

func find() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// visitor is somebody with a browser profile of his own: cookies and all.
type visitor struct {
	t   *testing.T
	ctx context.Context // of the first window
}

// page is a window of a visitor.
type page struct {
	t   *testing.T
	ctx context.Context
}

// newVisitor leaves the test out where there is no browser.
func newVisitor(t *testing.T) visitor {
	t.Helper()
	if browser == nil {
		t.Skipf("left out: there is no Chromium (%s): make chromium installs it", strings.Join(names, ", "))
	}
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	v := visitor{t, ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

// open opens a page in the visitor's first window.
func (v visitor) open(address string) page {
	v.t.Helper()
	p := page{v.t, v.ctx}
	p.open(address)
	return p
}

// openAnother opens a page in another window of the same profile.
func (v visitor) openAnother(address string) page {
	v.t.Helper()
	profile := chromedp.FromContext(v.ctx).BrowserContextID
	ctx, end := chromedp.NewContext(v.ctx, chromedp.WithExistingBrowserContext(profile))
	v.t.Cleanup(end)
	p := page{v.t, ctx}
	must(p.t, chromedp.Do(ctx)) // which ends with the window, and not with how long a page may take
	p.open(address)
	return p
}

func (p page) open(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

// do does something in the browser, which may take a while and not for ever.
func (p page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	must(p.t, chromedp.Do(ctx, actions...))
}

// eval evaluates an expression, or what it promises.
func eval[T any](p page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.300s: %v", expression, err)
	}
	return value
}

// comes waits until an expression is true on the page, also across a page that is loaded meanwhile.
func (p page) comes(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	wait := `new Promise(done => {
		const look = () => { (` + expression + `) ? done(true) : setTimeout(look, 20) }
		look()
	})`
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise))
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			p.t.Fatalf("%s did not come within %v: %s\n%s", what, patience, expression, p.text())
		case strings.Contains(err.Error(), "SyntaxError"), strings.Contains(err.Error(), "TypeError"):
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}

// text is what a person reads on the page.
func (p page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	if err != nil {
		return fmt.Sprintf("(the page cannot be read: %v)", err)
	}
	return text
}

// says waits until some text is in an element.
func (p page) says(selector, text string) {
	p.t.Helper()
	p.comes(fmt.Sprintf("%q in %s", text, selector), fmt.Sprintf(
		`[...document.querySelectorAll(%s)].some(e => e.textContent.includes(%s))`, quoted(selector), quoted(text)))
}

// click clicks on what a selector finds first, and waits for the page that this leads to.
func (p page) click(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.t.Fatalf("click on %s: %v", selector, err)
	}
}

// fill types into what a selector finds first.
func (p page) fill(selector, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// has returns how many elements a selector finds, without the page's own script.
func (p page) has(selector string) int {
	p.t.Helper()
	return eval[int](p, `document.querySelectorAll(`+quoted(selector)+`).length`)
}

// in has the page think that the person likes it light, or dark.
func (p page) in(scheme string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	must(p.t, err)
}

// scriptless has the window run no script of a page.
func (p page) scriptless() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: true})
	must(p.t, err)
}

// reads has the browser ask for a language.
func (p page) reads(language string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, network.Enable, network.EnableParams{})
	must(p.t, err)
	_, err = chromedp.Call(p.ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": language},
	})
	must(p.t, err)
}

// complaints collects what the console of the browser is told: exceptions, and what the page's policy forbids.
func (p page) complaints() func() []string {
	p.t.Helper()
	ctx, stop := context.WithCancel(p.ctx)
	p.t.Cleanup(stop)
	messages := chromedp.Console(ctx)
	all := make(chan []string, 1)
	all <- nil
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			all <- append(<-all, fmt.Sprint(m))
		}
	}()
	return func() []string {
		said := <-all
		defer func() { all <- said }()
		return slices.Clone(said)
	}
}

// here is the address of a path of the site that the page is of.
func (p page) here(path string) string {
	p.t.Helper()
	u, err := url.Parse(eval[string](p, `location.href`))
	must(p.t, err)
	return u.JoinPath("/").ResolveReference(&url.URL{Path: path}).String()
}

func quoted(text string) string {
	q, _ := json.Marshal(text) // of a string it cannot fail
	return string(q)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
