package main

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/payment"
)

// vain is a delivery that came to a code, with what the peer said.
func vain(code, message string) outbox.Report {
	return outbox.Report{
		Message: outbox.Message{Key: "o-1", Kind: string(order.Charge)},
		Result:  outbox.Blocked, Code: code, Body: message,
	}
}

// newExplainer makes the part of a handler that writes to a log.
func newExplainer(log *journal) *handler {
	return &handler{
		way: overGRPC{}, maxAttempts: 5, digest: newDigest(slog.New(log)), log: slog.New(log), giveUps: &giveUps{},
	}
}

// paymentd is away for a minute, and twenty thousand deliveries come to nothing. The log has some of them, and how many
// there were in all. Every other cause has a line each.
func TestTheDeliveriesOfAnOutageAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		h := newExplainer(log)
		const perSecond, seconds = 360, 60
		for range seconds {
			for range perSecond {
				h.Explain(vain("UNAVAILABLE", "nobody is there"))
			}
			h.Explain(vain("COMMIT_UNKNOWN", ""))
			<-time.After(time.Second)
		}
		conflict := vain("KEY_REUSED", "")
		conflict.Result = outbox.Conflict
		for range 2 * ownLines {
			h.Explain(conflict)
		}
		h.digest.Stop()
		lines, together := map[string]int{}, 0
		for _, l := range log.lines("delivery") {
			lines[l["code"]]++
		}
		for _, l := range log.lines("deliveries") {
			n, err := strconv.Atoi(l["deliveries"])
			if err != nil || l["level"] != "WARN" || l["code"] != "UNAVAILABLE" || l["means"] != "blocked" {
				t.Errorf("got %v, want a warning of the outage", l)
			}
			together += n
		}
		if got := lines["UNAVAILABLE"]; got > 7*ownLines || got+together != perSecond*seconds {
			t.Errorf("got %d lines and %d deliveries told together, want %d in all, few of them with a line",
				got, together, perSecond*seconds)
		}
		if lines["COMMIT_UNKNOWN"] != seconds || lines["KEY_REUSED"] != 2*ownLines {
			t.Errorf("got %v, want a line for each of the others", lines)
		}
	})
}

// Whoever wants to see everything does.
func TestAtDebugEachDeliveryIsTold(t *testing.T) {
	t.Parallel()
	log := &journal{level: slog.LevelDebug}
	h := newExplainer(log)
	for range 2 * ownLines {
		h.Explain(vain("UNAVAILABLE", "nobody is there"))
	}
	if got := len(log.lines("delivery")); got != 2*ownLines {
		t.Errorf("got %d lines, want %d", got, 2*ownLines)
	}
}

// A peer says whatever it likes. It stays on its line, which is short, and it cannot make up sorts without end.
func TestWhatAPeerSaysIsKeptInBounds(t *testing.T) {
	t.Parallel()
	log := &journal{}
	h := newExplainer(log)
	h.Explain(vain("UNAVAILABLE", "\x1b[2J\r\nlevel=ERROR \u202e"+strings.Repeat("x", 100_000)))
	got := log.lines("delivery")[0]["error"]
	if len(got) > longestError+100 || strings.ContainsAny(got, "\x1b\r\n\u202e") {
		t.Errorf("got %d bytes, %.80q; want a KiB of plain text", len(got), got)
	}
	for n := range 10 * mostSorts {
		h.Explain(vain("REASON_"+strconv.Itoa(n), ""))
	}
	h.digest.Stop()
	if got := len(log.lines("delivery")); got > mostSorts+ownLines {
		t.Errorf("got %d lines of made-up reasons, want one each of %d, and %d of all others", got, mostSorts, ownLines)
	}
	together := log.lines("deliveries")
	if len(together) != 1 || together[0]["code"] != "OTHERS" {
		t.Errorf("got %v, want all others together", together)
	}
}

// An order that goes well has one line of a relay's, that of its change. What was decided later, or too late to be
// waited for, has its own.
func TestADeliveryThatIsDecidedAtOnceIsToldAtDebug(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		claims int
		late   bool
		want   string
	}{{1, false, "DEBUG"}, {1, true, "INFO"}, {2, false, "INFO"}} {
		r := outbox.Report{
			Message: outbox.Message{Kind: string(order.Charge), Claims: test.claims},
			Result:  outbox.Decided, Late: test.late,
			Body: &paymentv1.Payment{Status: paymentv1.Payment_STATUS_CHARGED},
		}
		all, usual := everything(), &journal{}
		newExplainer(all).Explain(r)
		newExplainer(usual).Explain(r)
		if got := all.lines("delivery"); len(got) != 1 || got[0]["level"] != test.want {
			t.Errorf("%+v: got %v, want a line at %s", test, got, test.want)
		}
		if got, want := len(usual.lines("delivery")), test.want == "INFO"; (got == 1) != want {
			t.Errorf("%+v: got %d lines at the usual level, want one: %v", test, got, want)
		}
	}
}

// What becomes of an order is told with the trace of the request that caused it, which the row has kept: of one that is
// paid, and of one that is given up.
func TestTheLineOfAnOrderHasItsTrace(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	paid, givenUp, untraced := s.place(), s.place(), s.place()
	s.bank.decided(givenUp, payment.Declined, paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS)
	s.exec(`UPDATE outbox SET traceparent = $1 WHERE key <> $2`, "00-"+trace+"-00f067aa0ba902b7-01", untraced.ID)
	r := s.relay()
	s.await(givenUp.ID, order.Cancelled)
	s.await(paid.ID, order.Completed)
	s.await(untraced.ID, order.Completed)
	r.stop() // with everything told
	got := map[string]string{}
	for _, l := range s.log.lines("order") {
		got[l["order_id"]+" "+l["status"]] = l["trace_id"]
	}
	want := map[string]string{
		paid.ID + " COMPLETED": trace, givenUp.ID + " CANCELLED": trace, untraced.ID + " COMPLETED": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traces (-want +got):\n%s", diff)
	}
}
