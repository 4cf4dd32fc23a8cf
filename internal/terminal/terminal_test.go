package terminal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is written on a terminal may be taken away again; a file only grows, and has no colour.
func TestWhatIsShownForAMomentIsForTerminals(t *testing.T) {
	t.Parallel()
	show := func(t *Terminal) {
		t.Line("%s", t.Paint(Red, "one"))
		t.Footer("%d orders", 7)
		t.Footer("%d orders", 8)
		t.Line("two")
		t.Footer("9 orders")
		t.Clear()
		t.Clear()
	}
	tests := []struct {
		name string
		live bool
		want string
	}{
		{"a file", false, "one\ntwo\n"},
		{"a terminal", true, "\x1b[31mone\x1b[0m\n7 orders\r\x1b[K8 orders\r\x1b[Ktwo\n9 orders\r\x1b[K"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := written(t, tt.live, show); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAPageTakesThePlaceOfTheOneBefore(t *testing.T) {
	t.Parallel()
	show := func(t *Terminal) {
		t.Page([]string{"a", "b"})
		t.Page([]string{"c"})
	}
	if got, want := written(t, false, show), "a\nb\n\nc\n"; got != want {
		t.Errorf("in a file: got %q, want %q", got, want)
	}
	const want = "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J" + "\x1b[Hc\x1b[K\n\x1b[J"
	if got := written(t, true, show); got != want {
		t.Errorf("on a terminal: got %q, want %q", got, want)
	}
}

// The first error is told, once, and kept; what follows it is not written.
func TestAWriteThatFailsIsRemembered(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	screen := New(file, func(error) { told++ })
	screen.Line("one")
	if err := screen.Err(); err != nil {
		t.Errorf("got %v while all was written", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	screen.Line("two")
	_, err = io.WriteString(screen, "three")
	if !errors.Is(err, os.ErrClosed) || !errors.Is(screen.Err(), os.ErrClosed) || told != 1 {
		t.Errorf("got %v and %v, told %d times; want that the file is closed, told once", err, screen.Err(), told)
	}
}

// written is what comes of showing something, on a terminal with colours or in a file.
func written(t *testing.T, live bool, show func(*Terminal)) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	screen := New(file, nil)
	if live {
		screen.live, screen.color = true, true
	}
	show(screen)
	text, err := os.ReadFile(file.Name())
	if err != nil || screen.Err() != nil {
		t.Fatal(err, screen.Err())
	}
	return string(text)
}
