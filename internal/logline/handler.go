package logline

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Handler writes the log as JSON. It writes the lines that every order gets itself, for a fraction of what slog takes:
// those that have nothing but short plain texts, numbers and durations in them. All others it leaves to slog, and the
// line looks the same whoever wrote it.
//
// It hands each line to a single Write, or WritePlain, and several goroutines may at a time.
type Handler struct {
	slog.Handler // slog's, for the other lines

	to      plainWriter
	longest int
	stamps  *stamps
	attrs   []byte // of all lines, each with a comma before it
}

// plainWriter takes lines that have nothing in them but printable ASCII, and need not look.
type plainWriter interface {
	WritePlain(line []byte) (int, error)
}

// anyWriter is one to which all lines are the same.
type anyWriter struct{ io.Writer }

func (w anyWriter) WritePlain(line []byte) (int, error) { return w.Write(line) }

// NewHandler makes a Handler. The options cut what is longer than the longest text, in bytes, and have durations
// written as Duration does; beside that they change nothing.
func NewHandler(to io.Writer, longest int, options *slog.HandlerOptions) *Handler {
	plain, own := to.(plainWriter)
	if !own {
		plain = anyWriter{to}
	}
	return &Handler{Handler: slog.NewJSONHandler(to, options), to: plain, longest: longest, stamps: &stamps{}}
}

// buffers are for one line each.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Handle writes a line.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, 8)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	if plain, err := h.write(r.Time, r.Level, r.Message, attrs); plain {
		return err
	}
	return h.Handler.Handle(ctx, r)
}

// write writes a line, or reports that it takes slog to write it.
func (h *Handler) write(at time.Time, level slog.Level, message string, attrs []slog.Attr) (plain bool, err error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	line, plain := h.line((*buffer)[:0], at, level, message, attrs)
	*buffer = line
	if plain {
		_, err = h.to.WritePlain(line)
	}
	return plain, err
}

// line adds a line to b, and reports whether it is one that needs no slog.
func (h *Handler) line(
	b []byte, at time.Time, level slog.Level, message string, attrs []slog.Attr,
) (_ []byte, plain bool) {
	b = append(b, `{"time":"`...)
	if b, plain = h.stamps.add(b, at); !plain {
		return b, false
	}
	b = append(b, `","level":"`...)
	b = append(b, level.String()...)
	b = append(b, `","msg":`...)
	if b, plain = h.addText(b, message); !plain {
		return b, false
	}
	b = append(b, h.attrs...)
	for i := range attrs {
		if b, plain = h.addAttr(b, &attrs[i]); !plain {
			return b, false
		}
	}
	return append(b, '}', '\n'), true
}

// WithAttrs returns a handler whose lines have more attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	others, all := h.Handler.WithAttrs(attrs), h.attrs[:len(h.attrs):len(h.attrs)]
	for i := range attrs {
		var plain bool
		if all, plain = h.addAttr(all, &attrs[i]); !plain {
			return others
		}
	}
	return &Handler{Handler: others, to: h.to, longest: h.longest, stamps: h.stamps, attrs: all}
}

// addAttr adds an attribute to b, or reports that it takes slog to write it.
func (h *Handler) addAttr(b []byte, a *slog.Attr) (_ []byte, plain bool) {
	b = append(b, ',')
	if b, plain = h.addText(b, a.Key); !plain {
		return b, false
	}
	b = append(b, ':')
	switch a.Value.Kind() {
	case slog.KindString:
		return h.addText(b, a.Value.String())
	case slog.KindDuration:
		return h.addText(b, Duration(a.Value.Duration()))
	case slog.KindInt64:
		return strconv.AppendInt(b, a.Value.Int64(), 10), true
	case slog.KindUint64:
		return strconv.AppendUint(b, a.Value.Uint64(), 10), true
	case slog.KindBool:
		return strconv.AppendBool(b, a.Value.Bool()), true
	}
	return b, false
}

// addText adds a text to b, unless some of it is to be escaped or cut.
func (h *Handler) addText(b []byte, text string) (_ []byte, plain bool) {
	if len(text) > h.longest {
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

// Duration returns a duration as people write it, "1.5ms", no finer than a microsecond.
func Duration(d time.Duration) string { return d.Round(time.Microsecond).String() }
