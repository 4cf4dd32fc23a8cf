// Package terminal prints for people.
//
// Its promise: colour, and lines that are overwritten, where the output is a terminal; plain text that only grows where
// it is a pipe, a file, or a terminal that says that it is dumb. Text of others is plain: what they sent can end no
// line, forge none, and command no terminal, whichever way it came here. A write that fails is remembered and told, so
// that nothing claims to have said what nobody could read.
package terminal

import (
	"crypto/rand"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"hosho/internal/plain"
)

// Terminal is an output. It is safe for concurrent use.
type Terminal struct {
	live   bool // what was written may be overwritten
	color  bool
	escape string // stands for ESC in what is painted; nobody else can know it
	failed func(error)

	mu     sync.Mutex
	out    *os.File
	footer bool // the last line is one that is taken away again
	paged  bool // a page was shown
	err    error
}

// New returns the terminal that writes to a file. The first error of writing there is given to failed, which may be
// nil.
func New(f *os.File, failed func(error)) *Terminal {
	live := term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	color := live && os.Getenv("NO_COLOR") == ""
	return &Terminal{out: f, live: live, color: color, escape: rand.Text(), failed: failed}
}

// Live reports whether the output is a terminal on which what was written may be overwritten.
func (t *Terminal) Live() bool { return t.live }

// Err returns the first error of writing, nil when all was written.
func (t *Terminal) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Style is an ANSI attribute (ECMA-48, SGR).
type Style string

// The styles in use.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Paint returns text in a style, as far as the output shows styles. It is for this terminal alone.
func (t *Terminal) Paint(s Style, text string) string {
	if !t.color || s == Plain {
		return text
	}
	return t.escape + "[" + string(s) + "m" + text + t.escape + "[0m"
}

// Line prints one line. The format may have line feeds; the arguments are plain.
func (t *Terminal) Line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	_, _ = t.write(t.painted(sprintf(format+"\n", args...))) // remembered
}

// Write prints lines. It is for what makes the lines by itself, an encoder or a usage; all but their ends is plain.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	if _, err := t.write(t.painted(plain.Lines(string(p)))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// painted is what is written of a text that was painted.
func (t *Terminal) painted(text string) []byte {
	return []byte(strings.ReplaceAll(text, t.escape, "\x1b"))
}

// Where to write, and what to take away (ECMA-48).
const (
	toTheTop   = "\x1b[H"
	eraseRest  = "\x1b[K" // of the line
	eraseLine  = "\r" + eraseRest
	eraseBelow = "\x1b[J"
)

// Footer shows a line below everything else until the next output. Where nothing can be overwritten it shows nothing.
func (t *Terminal) Footer(format string, args ...any) {
	if !t.live {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	t.footer = true
	_, _ = t.write(t.painted(sprintf(format, args...))) // remembered
}

// Page shows lines, which are plain, in place of everything else, from the top. Where nothing can be overwritten it
// prints them below the page before, with an empty line between.
func (t *Terminal) Page(lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	end := "\n"
	text := strings.Builder{}
	if t.live { // what is written over is only taken away where nothing comes instead, so that it does not flicker
		text.WriteString(toTheTop)
		end = eraseRest + "\n"
	} else if t.paged {
		text.WriteString("\n")
	}
	for _, line := range lines {
		text.Write(t.painted(plain.Text(line) + end))
	}
	if t.live {
		text.WriteString(eraseBelow)
	}
	t.paged = true
	_, _ = t.write([]byte(text.String())) // remembered
}

// Clear takes the footer away.
func (t *Terminal) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

func (t *Terminal) clear() {
	if t.footer {
		t.footer = false
		_, _ = t.write([]byte(eraseLine)) // remembered
	}
}

// write remembers the first error. What follows it is not written: half an output is worse than none.
func (t *Terminal) write(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.out.Write(p)
	if err != nil {
		t.err = err
		if t.failed != nil {
			t.failed(err)
		}
	}
	return n, err
}
