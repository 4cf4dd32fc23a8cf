package kafka

import (
	"fmt"
	"slices"
)

// count is how often the events of a partition were given out to somebody who died, as it is committed with the offset
// of the first that is not done.
type count struct {
	First int   // that one
	Rest  int   // those after it
	End   int64 // up to here; beyond it nothing was given out
}

// String is what is committed.
func (c count) String() string {
	if c == (count{}) {
		return ""
	}
	return fmt.Sprintf("given %d %d %d", c.First, c.Rest, c.End)
}

// countOf reads what was committed. What is no count of ours is none.
func countOf(text string) (c count) {
	if _, err := fmt.Sscanf(text, "given %d %d %d", &c.First, &c.Rest, &c.End); err != nil {
		return count{}
	}
	return c
}

const (
	// fewFrom is how many deaths an event may have been part of before only a few of its like are given out at a time,
	// so that the next death is one of few. aloneFrom is how many before it is given out alone: then the next one tells
	// which it is.
	fewFrom   = 1
	few       = 32
	aloneFrom = 2
	// ahead is how far beyond what is given out that is said to be, so that it is not said each time. What nobody died
	// of before is not counted more exactly.
	ahead = 1024
)

// ledger is what is given out of a partition, and what is done of it.
//
// Before an event is given out, it is committed that it is: who comes after a death finds it counted. What is done
// without a death, or given back in order, is committed as not counted.
type ledger struct {
	partition int32
	left      count // by those before, as far as it is not done
	low       int64 // all below are done; -1: nobody has committed, and nothing has come
	open      []int64
	done      map[int64]bool
	said      string // what is committed
}

// given returns how often an event was given out in vain.
func (l *ledger) given(offset int64) int {
	switch {
	case offset >= l.left.End:
		return 0
	case offset == l.low:
		return l.left.First
	}
	return l.left.Rest
}

// may reports whether an event may be given out now.
func (l *ledger) may(offset int64) bool {
	if len(l.open) == 0 {
		return true
	}
	switch most := max(l.given(offset), l.given(l.open[0])); {
	case most >= aloneFrom:
		return false
	case most >= fewFrom:
		return len(l.open) < few
	}
	return true
}

// give notes that an event is given out.
func (l *ledger) give(offset int64) {
	if l.low < 0 || len(l.open) == 0 && l.low < offset { // offsets may have gaps
		l.moveTo(offset)
	}
	l.open = append(l.open, offset)
}

// settle notes that an event is done.
func (l *ledger) settle(offset int64) {
	l.done[offset] = true
	last := offset
	for len(l.open) > 0 && l.done[l.open[0]] {
		last = l.open[0]
		delete(l.done, last)
		l.open = l.open[1:]
	}
	switch {
	case len(l.open) > 0:
		l.moveTo(l.open[0])
	default:
		l.moveTo(last + 1)
	}
}

// moveTo has another event be the first that is not done.
func (l *ledger) moveTo(low int64) {
	if low == l.low {
		return
	}
	first := l.given(low)
	l.low, l.left.First = low, first
	if low >= l.left.End {
		l.left = count{}
	}
}

// now returns what is true if its holder dies now.
func (l *ledger) now() count {
	if len(l.open) == 0 {
		return l.left
	}
	c := l.left
	c.First++
	last := l.open[len(l.open)-1]
	if len(l.open) == 1 && l.given(last) >= aloneFrom {
		return c
	}
	c.Rest++
	c.End = last + 1 // those beyond it are not given out, and if one of them kills it is counted then
	if l.left.Rest == 0 {
		c.End = max(l.left.End, (c.End/ahead+1)*ahead)
	}
	return c
}

// saying returns what is to be committed for a count, and whether that is not so already.
func (l *ledger) saying(c count) (text string, news bool) {
	text = fmt.Sprintf("%d %s", l.low, c)
	return text, l.low >= 0 && text != l.said
}

// forget has no event be given out any more.
func (l *ledger) forget() {
	l.open = nil
	clear(l.done)
}

// has reports whether an event is given out and not done.
func (l *ledger) has(offset int64) bool {
	_, is := slices.BinarySearch(l.open, offset)
	return is && !l.done[offset]
}
