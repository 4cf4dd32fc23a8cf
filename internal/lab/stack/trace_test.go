package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/lab/collector"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// aboutIt are the spans that name an order.
func aboutIt(spans []collector.Span, order string) []collector.Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s collector.Span) bool {
		return s.Attributes["hosho.order.id"] != order
	})
}

// One system, since starting it takes longest: an order whose first reply is lost; one whose relay is killed between
// two deliveries; and one after the collector has gone.
func TestOneOrderIsOneTrace(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	c, err := collector.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	s := start(t, bin, 1, func(config *stack.Config) {
		config.Env = slices.Concat(pace, c.Env(1), []string{"OTEL_BSP_SCHEDULE_DELAY=10"})
	})
	lost := awaitTrace(t, c, s.place(t, 9998), func(trace []collector.Span) bool {
		return count(trace, "settle", "COMPLETED") > 0 &&
			count(trace, "decide CHARGE", "") == count(trace, "deliver CHARGE", "")
	})
	if diff := cmp.Diff(printed(t), collector.Tree(lost)); diff != "" {
		t.Errorf("trace (-doc/observe.md +got):\n%s", diff)
	}

	s.Paymentd.Kill()
	restarted := s.place(t, 500)
	s.await(t, "a delivery has failed", `SELECT EXISTS (SELECT FROM outbox WHERE key = $1 AND last_code IS NOT NULL)`,
		restarted)
	awaitTrace(t, c, restarted, func(trace []collector.Span) bool { return count(trace, "deliver CHARGE", "") > 0 })
	s.Relays[0].Kill()
	for _, p := range []*stack.Process{s.Paymentd, s.Relays[0]} {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	relays := map[string]bool{}
	for _, span := range awaitTrace(t, c, restarted, func(trace []collector.Span) bool {
		return count(trace, "settle", "COMPLETED") > 0
	}) {
		if strings.HasPrefix(span.Name, "deliver") {
			relays[span.Instance] = true
		}
	}
	if len(relays) != 2 {
		t.Errorf("got deliveries by %v, want two relays, one after the other", relays)
	}

	c.Stop()
	s.place(t, 700)
	s.await(t, "every order is settled", allSettled)
	s.agree(t, true)
} // stopping the system fails when a daemon does not end in time

// awaitTrace waits for what is enough of an order's trace, and returns it. It is one, and has one beginning.
func awaitTrace(
	t *testing.T, c *collector.Collector, order string, enough func(trace []collector.Span) bool,
) (trace []collector.Span) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	all, err := c.Await(ctx, func(all []collector.Span) bool {
		about := aboutIt(all, order)
		if len(about) > 0 {
			trace = collector.Trace(all, about[0].TraceID)
		}
		return enough(trace) && whole(trace)
	})
	if err != nil {
		t.Fatalf("%v:\n%s", err, collector.Tree(trace))
	}
	for _, s := range aboutIt(all, order) {
		if s.TraceID != trace[0].TraceID {
			t.Errorf("got %s of the order in another trace, want one trace", s.Name)
		}
	}
	return trace
}

// count counts the spans that have a name, and a status unless that is empty.
func count(spans []collector.Span, name, status string) (n int) {
	for _, s := range spans {
		if s.Name == name && (status == "" || s.Attributes["hosho.status"] == status) {
			n++
		}
	}
	return n
}

// whole reports whether a trace has one beginning, from which everything follows.
func whole(trace []collector.Span) bool {
	roots := 0
	for _, s := range trace {
		if !slices.ContainsFunc(trace, func(p collector.Span) bool { return p.ID == s.Parent }) {
			roots++
		}
	}
	return roots == 1 && trace[0].Parent == "" // what is sent later may be there first
}

// printed is the trace that the documentation shows.
func printed(t *testing.T) string {
	t.Helper()
	root, err := stack.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "doc", "observe.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Traces\n")
	_, block, _ := strings.Cut(section, "```text example\n")
	text, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("doc/observe.md shows no trace")
	}
	return text
}
