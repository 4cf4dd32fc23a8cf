package logline

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

// A line is the same whether this package or slog writes it.
func TestALineIsAsSlogWritesIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 98_700_000, time.FixedZone("", 9*60*60))
	for _, attrs := range [][]slog.Attr{
		nil,
		{slog.String("order_id", "01a218f1-b808-7ba8-8d46-86ef166de994"), slog.String("status", "COMPLETED")},
		{slog.String("", ""), slog.Int("n", 0), slog.Int64("least", math.MinInt64)},
		{slog.Uint64("most", math.MaxUint64), slog.Bool("yes", true), slog.Bool("no", false)},
		{slog.Duration("took", 1234567*time.Nanosecond), slog.Duration("less", -time.Hour)},
		{said(`"key"`, `a "b" \c`), said("html", "<a & b>"), said("below", "a\nb\x00c")},
		{said("delete", "\x7f"), said("a\u2028b", "ä\xff\u202e")},
		{slog.Float64("float", 0.1), slog.Time("at", at), slog.Any("error", errors.New("it fails")), {}},
		{slog.Group("of", slog.Int("a", 1)), slog.Any("nil", nil), slog.Any("all", []int{1, 2}), slog.Int("b", 2)},
		{said("long", strings.Repeat("x", longest+1)), said("fits", strings.Repeat("y", longest))},
	} {
		for _, message := range []string{"order", "", "a\nb", strings.Repeat("z", longest+1)} {
			for _, when := range []time.Time{at, at.UTC().Add(1), {}, time.Unix(1<<40, 0)} {
				r := slog.NewRecord(when, slog.LevelWarn+1, message, 0)
				r.AddAttrs(attrs...)
				for _, shared := range [][]slog.Attr{nil, {slog.String("daemon", "relay")}, attrs} {
					sameLine(t, r, func(h slog.Handler) slog.Handler { return h.WithAttrs(shared) })
				}
				sameLine(t, r, func(h slog.Handler) slog.Handler { return h.WithGroup("group").WithAttrs(attrs) })
			}
		}
	}
}

func said(key, value string) slog.Attr { return slog.Attr{Key: key, Value: slog.StringValue(value)} }

func sameLine(t *testing.T, r slog.Record, with func(slog.Handler) slog.Handler) {
	t.Helper()
	options := &slog.HandlerOptions{ReplaceAttr: readable}
	var got, want bytes.Buffer
	for to, h := range map[*bytes.Buffer]slog.Handler{
		&got: NewHandler(&got, longest, options), &want: slog.NewJSONHandler(&want, options),
	} {
		if err := with(h).Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if to.Len() == 0 {
			t.Fatal("got no line")
		}
	}
	if got.String() != want.String() {
		t.Errorf("got %.500s, want %.500s", got.String(), want.String())
	}
}

const longest = 1 << 10

func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; {
	case v.Kind() == slog.KindDuration:
		a.Value = slog.StringValue(Duration(v.Duration()))
	case v.Kind() == slog.KindString && len(v.String()) > longest:
		a.Value = slog.StringValue(v.String()[:longest])
	}
	return a
}

// Loggers that have an attribute in common have the others each by itself.
func TestLoggersShareNoMoreThanTheyWereGiven(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	shared := slog.New(NewHandler(&out, longest, &slog.HandlerOptions{})).With("daemon", "relay")
	charges, voids := shared.With("kind", "CHARGE"), shared.With("kind", "VOID")
	for _, log := range []*slog.Logger{charges, voids, shared} {
		log.Info("one")
	}
	for i, want := range []string{`"daemon":"relay","kind":"CHARGE"}`, `"daemon":"relay","kind":"VOID"}`, `"relay"}`} {
		if line, _ := out.ReadString('\n'); !strings.HasSuffix(line, want+"\n") {
			t.Errorf("line %d: got %s, want it to end in %s", i, line, want)
		}
	}
}
