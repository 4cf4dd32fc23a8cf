package events

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever is noted and read when: whoever reads gets each event once, in order, or has it counted as dropped.
func TestAReaderMissesNothingThatIsNotCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := NewLog("orderd", "host:1", nil)
		l.ring = make([]event, rapid.IntRange(1, 20).Draw(t, "kept"))
		type reader struct{ began, next, got, dropped int64 }
		var readers []*reader
		read := func(r *reader, room int) {
			events := make([]event, room)
			n, first, dropped := l.read(r.next, events)
			if first != r.next+dropped || dropped < 0 {
				t.Fatalf("got %d dropped and %d first, after %d", dropped, first, r.next-1)
			}
			for i, e := range events[:n] {
				if want := first + int64(i); int64(e.claim) != want {
					t.Fatalf("got event %d in the place of %d", e.claim, want)
				}
			}
			r.next = first + int64(n)
			r.got, r.dropped = r.got+int64(n), r.dropped+dropped
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"note", "note", "begin", "read"}).Draw(t, "step") {
			case "note":
				for range rapid.IntRange(1, 30).Draw(t, "events") {
					l.Delivery("", Delivery{Claim: int(l.latest) + 1})
				}
			case "begin":
				next := l.begin(rapid.Bool().Draw(t, "kept"))
				readers = append(readers, &reader{began: next, next: next})
			case "read":
				if len(readers) > 0 {
					read(rapid.SampledFrom(readers).Draw(t, "reader"), rapid.IntRange(1, 10).Draw(t, "room"))
				}
			}
		}
		for _, r := range readers {
			for r.next <= l.latest {
				read(r, 7)
			}
			if want := l.latest + 1 - r.began; r.got+r.dropped != want {
				t.Fatalf("got %d events and %d dropped, want %d in all", r.got, r.dropped, want)
			}
		}
	})
}

// Where nobody watches, there is the ring and nothing else. It is not parallel: it counts what the process allocates.
func TestNotingAnEventAllocatesNothing(t *testing.T) {
	l := NewLog("orderd", "host:1", nil)
	for name, test := range cases() {
		if name == "backlog" {
			continue // there are no more of them than calls
		}
		if n := testing.AllocsPerRun(100, func() { test.note(l) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
	if l.came != nil || l.ring[1].sort == 0 {
		t.Errorf("got %v, want the events kept and nobody waited for", l.ring[1])
	}
}

func BenchmarkNote(b *testing.B) {
	l, change := NewLog("orderd", "host:1", nil), OrderChange{
		OrderID: id, From: "PENDING", To: "COMPLETED", Cause: "payment charged", AmountMinor: 1200, Currency: "JPY",
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Order(traceparent, change)
	}
}

func BenchmarkEncode(b *testing.B) {
	l := NewLog("orderd", "host:1", nil)
	for range kept {
		l.Order(traceparent, OrderChange{
			OrderID: id, From: "PENDING", To: "COMPLETED", Cause: "payment charged", AmountMinor: 1200, Currency: "JPY",
		})
	}
	w := &watcher{log: l, events: make([]event, mostTogether)}
	b.ReportAllocs()
	for b.Loop() {
		n, first, dropped := l.read(1, w.events)
		w.encode(w.events[:n], first, dropped)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/mostTogether, "ns/event")
}
