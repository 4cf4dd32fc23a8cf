package stack

import (
	"bytes"
	"io"
)

// Lines returns a writer, for Config.LogTo, that calls tell for each line when the whole of it was written, without its
// end.
func Lines(tell func(line []byte)) io.Writer { return &lines{tell: tell} }

type lines struct {
	tell func(line []byte)
	rest []byte // the beginning of the next line
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.tell(line)
		l.rest = rest
	}
}
