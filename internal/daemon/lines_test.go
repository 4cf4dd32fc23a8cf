package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// disk takes bytes until it is full.
type disk struct {
	mu   sync.Mutex
	free int
	held bytes.Buffer
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.free)
	d.free -= n
	d.held.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (d *disk) grow(free int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = free
}

func logged(t *testing.T, l *lines, line string) {
	t.Helper()
	if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
		t.Errorf("got %d, %v; want %d, since a log always takes what it is told", n, err, len(line))
	}
}

func notice(dropped int) []byte { return fmt.Appendf(nil, "%d dropped\n", dropped) }

// What stands on a disk after it was full: whole lines, the beginning of one that broke off alone on its line, and how
// many are missing.
func TestALineThatBreaksOffSpoilsNoOther(t *testing.T) {
	d := &disk{free: len("one\ntw")}
	l := newLines(d, notice)
	defer close(l.bell)
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		logged(t, l, line)
	}
	l.flush()
	d.grow(1000)
	logged(t, l, "four\n")
	l.flush()
	if got, want := d.held.String(), "one\ntw\n2 dropped\nfour\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A line of the log is one, and has nothing that a terminal obeys: slog's JSON lets through what turns the direction,
// and the controls beyond ASCII.
func TestALineOfTheLogIsPlain(t *testing.T) {
	d := &disk{free: 1000}
	l := newLines(d, notice)
	defer close(l.bell)
	log := slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	log.Info("a\nb\x1b", "c", "\u009b\u202e\x7f")
	l.flush()
	want := `{"level":"INFO","msg":"a\nb\u001b","c":"\u009b\u202e\u007f"}` + "\n"
	if got := d.held.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// The lines that are missing are told of where they are missing, and by the time that all is written.
func TestDroppedLinesAreToldOfInTheirPlace(t *testing.T) {
	d := &disk{free: 100 << 20}
	l := &lines{to: d, notice: notice, bell: make(chan struct{}, 1)} // nobody writes yet
	long := strings.Repeat("x", room/4-1) + "\n"
	for range 7 { // of which four find room
		logged(t, l, long)
	}
	go l.write()
	defer close(l.bell)
	l.flush()
	logged(t, l, "last\n")
	l.flush()
	if got, want := d.held.String(), strings.Repeat(long, 4)+"3 dropped\nlast\n"; got != want {
		t.Errorf("got %d bytes that end in %q, want %d", len(got), got[max(0, len(got)-50):], len(want))
	}
}
