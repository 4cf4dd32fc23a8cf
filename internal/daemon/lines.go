package daemon

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/plain"
	"hosho/internal/wait"
)

// lines is where the log goes. Whoever writes to it never waits for whoever reads it: a pipe that nobody reads, or a
// disk that stands still, would else hang every call that logs. What cannot be written yet waits in memory; what has no
// room there is dropped, counted, and told of at the place where it is missing.
//
// It is no diode (github.com/rs/zerolog/diode): that one bounds the number of lines and not their bytes, drops all that
// waits at once, takes a failed write for a written line, and waits for the reader without end when it is closed.
type lines struct {
	to     io.Writer
	notice func(dropped int) []byte
	bell   wait.Bell // there is something to be written

	mu      sync.Mutex
	waiting []text
	size    int  // the bytes of what waits
	full    bool // nothing more is taken until half of the room is free
	dropped int  // the lines that nobody was told of yet

	spare [][]byte // have room for lines, and none in them

	torn bool // a write failed in the middle of a line; only the writer looks at it
}

// text is something to be written: lines, or a notice of lines that were dropped, or the end of what is flushed.
type text struct {
	lines   []byte
	dropped int
	flushed chan struct{}
}

// takesMore reports whether a line may be added to the lines of a text, to be written along with them.
func (t text) takesMore(line int) bool {
	return t.flushed == nil && t.dropped == 0 && len(t.lines)+line <= together
}

// together is how many bytes of lines are written at once, unless a single line has more; spares is for how many of
// them room is kept, some of which are filled while one is written.
const (
	together = 16 << 10
	spares   = 4
)

// room is how many bytes of the log wait at most: some 10,000 lines.
const room = 4 << 20

// flushTime bounds how long the end of a process waits for whoever reads its log.
const flushTime = time.Second

var droppedLines = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "hosho_log_dropped_lines_total",
	Help: "Lines of the log that were dropped since nobody read them, or since they could not be written.",
})

// newLines makes lines that a goroutine writes for as long as the process lives. notice says in a line of its own how
// many were dropped.
func newLines(to io.Writer, notice func(dropped int) []byte) *lines {
	l := &lines{to: to, notice: notice, bell: wait.NewBell()}
	go l.write()
	return l
}

// Write takes one line, of which what others sent becomes plain. It always succeeds: a logger could do nothing about an
// error.
func (l *lines) Write(given []byte) (int, error) {
	if line := bytes.TrimSuffix(given, []byte{'\n'}); !plain.IsASCII(line) {
		_, _ = l.WritePlain(append([]byte(plain.Text(string(line))), '\n'))
		return len(given), nil
	}
	return l.WritePlain(given)
}

// WritePlain takes one line, of which it is known that it is plain.
func (l *lines) WritePlain(given []byte) (int, error) {
	line := bytes.TrimSuffix(given, []byte{'\n'})
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(line) + 1
	l.full = l.size+size > room || l.full && l.size > room/2
	if l.full {
		l.dropped++
		droppedLines.Inc()
		return len(given), nil
	}
	l.tell()
	l.addLine(line)
	return len(given), nil
}

// addLine adds a line without its end to those that wait to be written together.
func (l *lines) addLine(line []byte) {
	last := len(l.waiting) - 1
	if last < 0 || !l.waiting[last].takesMore(len(line)+1) {
		l.add(text{lines: l.takeSpare()})
		last = len(l.waiting) - 1
	}
	t := &l.waiting[last]
	t.lines = append(append(t.lines, line...), '\n')
	l.size += len(line) + 1
}

func (l *lines) takeSpare() []byte {
	last := len(l.spare) - 1
	if last < 0 {
		return make([]byte, 0, together)
	}
	room := l.spare[last]
	l.spare = l.spare[:last]
	return room
}

// tell puts a notice where lines are missing.
func (l *lines) tell() {
	if l.dropped > 0 {
		l.add(text{lines: l.notice(l.dropped), dropped: l.dropped})
		l.dropped = 0
	}
}

func (l *lines) add(t text) {
	l.waiting = append(l.waiting, t)
	l.size += len(t.lines)
	l.bell.Ring()
}

// flush waits until what was logged is written, for flushTime at most.
func (l *lines) flush() {
	end := text{flushed: make(chan struct{})}
	l.mu.Lock()
	l.tell()
	l.add(end)
	l.mu.Unlock()
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-end.flushed:
	case <-timer.C:
	}
}

func (l *lines) write() {
	for range l.bell {
		failed := false
		for t, ok := l.next(failed); ok; t, ok = l.next(failed) {
			if t.flushed != nil {
				close(t.flushed)
				continue
			}
			failed = !l.put(t)
			l.reuse(t.lines)
		}
	}
}

// reuse keeps the room of lines that were written, unless it is that of a notice, or a long one has had it grow.
func (l *lines) reuse(written []byte) {
	if cap(written) == together {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.spare) < spares {
			l.spare = append(l.spare, written[:0])
		}
	}
}

// next takes what has waited longest. When nothing waits any more, it is time to tell of what was dropped, unless that
// could not be written either.
func (l *lines) next(failed bool) (text, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 && !failed {
		l.full = false
		l.tell()
	}
	if len(l.waiting) == 0 {
		l.waiting = nil // which may have grown large
		return text{}, false
	}
	t := l.waiting[0]
	l.waiting[0] = text{}
	l.waiting = l.waiting[1:]
	l.size -= len(t.lines)
	return t, true
}

// put writes lines whole, and reports whether it could write the last. A line that cannot be written is left out, and
// the others follow it. After one that broke off, as on a full disk, the next begins at a line's beginning.
func (l *lines) put(t text) (whole bool) {
	for left := t.lines; len(left) > 0; {
		var n int
		n, whole = l.putSome(left)
		if left = left[n:]; !whole {
			_, left, _ = bytes.Cut(left, []byte{'\n'})
			l.miss(t.dropped)
		}
	}
	return whole
}

// putSome writes lines, and returns how many bytes of whole ones it has written, and whether it was all.
func (l *lines) putSome(some []byte) (n int, whole bool) {
	before := 0
	if l.torn {
		before = 1
		some = append([]byte{'\n'}, some...)
	}
	n, err := l.to.Write(some)
	l.torn = l.torn && n == 0 || n > 0 && n < len(some) && some[n-1] != '\n'
	return max(bytes.LastIndexByte(some[:n], '\n')+1-before, 0), err == nil
}

// miss notes that a line was not written, or a notice of so many.
func (l *lines) miss(dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dropped == 0 {
		dropped = 1
		droppedLines.Inc()
	}
	l.dropped += dropped
}
