package daemon

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// handler writes the log as JSON. It writes the lines that every order gets itself, for a third of what slog takes:
// those that have nothing but short plain texts, numbers and durations in them. All others it leaves to slog, and the
// line looks the same whoever wrote it.
//
// It hands each line to a single Write, and several goroutines may at a time.
type handler struct {
	slog.Handler // slog's, for the other lines

	to    io.Writer
	attrs []byte // of all lines, each with a comma before it
}

func newHandler(to io.Writer, options *slog.HandlerOptions) slog.Handler {
	return &handler{Handler: slog.NewJSONHandler(to, options), to: to}
}

// buffers are for one line each.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Handle writes a line.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	line, ok := h.line((*buffer)[:0], r)
	*buffer = line
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.to.Write(line)
	return err
}

// line adds a line to b, and reports whether it is one that needs no slog.
func (h *handler) line(b []byte, r slog.Record) (_ []byte, ok bool) {
	if year := r.Time.Year(); year < 1970 || year > 9999 || len(r.Message) > longestText {
		return b, false
	}
	b = append(b, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, r.Level.String()...)
	b = append(b, `","msg":`...)
	b, ok = appendText(b, r.Message)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		ok = ok && appendAttr(&b, a)
		return ok
	})
	return append(b, '}', '\n'), ok
}

// WithAttrs returns a handler whose lines have more attributes.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	others, all := h.Handler.WithAttrs(attrs), h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		if !appendAttr(&all, a) {
			return others
		}
	}
	return &handler{Handler: others, to: h.to, attrs: all}
}

// appendAttr adds an attribute to b, or reports that it takes slog to write it.
func appendAttr(b *[]byte, a slog.Attr) (ok bool) {
	*b = append(*b, ',')
	if *b, ok = appendText(*b, a.Key); !ok {
		return false
	}
	*b = append(*b, ':')
	switch a.Value.Kind() {
	case slog.KindString:
		*b, ok = appendText(*b, a.Value.String())
	case slog.KindDuration:
		*b, ok = appendText(*b, durationText(a.Value.Duration()))
	case slog.KindInt64:
		*b = strconv.AppendInt(*b, a.Value.Int64(), 10)
	case slog.KindUint64:
		*b = strconv.AppendUint(*b, a.Value.Uint64(), 10)
	case slog.KindBool:
		*b = strconv.AppendBool(*b, a.Value.Bool())
	default:
		return false
	}
	return ok
}

// appendText adds a text to b, unless some of it is to be escaped or cut.
func appendText(b []byte, text string) (_ []byte, ok bool) {
	if len(text) > longestText {
		return b, false
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return b, false
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"'), true
}
