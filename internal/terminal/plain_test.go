package terminal

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"
)

// forged is what somebody sends who wants a line of his own to be read, in green, and digits turned round.
const forged = "ok\r\n\x1b[32mdone\x1b[0m\t\u202e99\x00"

const plainForged = `ok\r\n\u001b[32mdone\u001b[0m\t\u202e99\u0000`

type word string

// Whatever the argument's type and the verb, what others sent stays on its line; what is painted here is painted.
func TestTextOfOthersIsPlain(t *testing.T) {
	t.Parallel()
	show := func(t *Terminal) {
		t.Line("\n%s %v %-3s %d %.1f|", forged, errors.New(forged), word(forged), 7, 1.25)
		t.Line("%s", t.Paint(Green, forged)+", "+t.Paint(Plain, "plain"))
		t.Line("%v and %6d, %s", []string{forged}, 42, time.Second)
		_, _ = io.WriteString(t, "{\"text\": \"\u202e\"}\nsecond\n")
	}
	want := "\n" + strings.Repeat(plainForged+" ", 3) + "7 1.2|\n" +
		"<" + plainForged + ">, plain\n" +
		"[" + plainForged + "] and     42, 1s\n" +
		"{\"text\": \"\\u202e\"}\nsecond\n"
	unpainted := strings.NewReplacer("<", "", ">", "")
	if got := written(t, false, show); got != unpainted.Replace(want) {
		t.Errorf("in a file: got %q, want %q", got, unpainted.Replace(want))
	}
	painted := strings.NewReplacer("<", "\x1b[32m", ">", "\x1b[0m")
	if got := written(t, true, show); got != painted.Replace(want) {
		t.Errorf("on a terminal: got %q, want %q", got, painted.Replace(want))
	}
	page := func(t *Terminal) {
		t.Footer("%s", forged)
		t.Page([]string{forged})
	}
	want = plainForged + eraseLine + toTheTop + plainForged + eraseRest + "\n" + eraseBelow
	if got := written(t, true, page); got != want {
		t.Errorf("a page: got %q, want %q", got, want)
	}
}

// A cell of others makes no row and no column.
func TestTextOfOthersStaysInItsCell(t *testing.T) {
	t.Parallel()
	got := written(t, false, func(t *Terminal) {
		table := t.Table(0)
		table.Row("A\tB\tC")
		table.Row("%s\t%s\t%d", "a\tb\na\vb\f", "x", 7)
		table.Flush()
	})
	if want := "A                     B  C\n" + `a\tb\na\u000bb\u000c  x  7` + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Nothing that is printed holds a control character but for the ends of our own lines.
func TestWhatIsPrintedIsLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringOf(rapid.OneOf(
			rapid.SampledFrom([]rune("\x00\n\r\t\x1b\u0085\u009b\u2028\u202e\u2066\u200b\ufeff")), rapid.Rune(),
		)), 1, 20).Draw(r, "texts")
		got := written(t, false, func(t *Terminal) {
			for _, text := range texts {
				t.Line("%s: %v", t.Paint(Red, text), text)
			}
		})
		if n := strings.Count(got, "\n"); n != len(texts) {
			r.Errorf("got %d lines, want %d: %q", n, len(texts), got)
		}
		if strings.ContainsFunc(strings.ReplaceAll(got, "\n", ""), unicode.IsControl) {
			r.Errorf("got %q, want no control character but line feeds", got)
		}
	})
}
