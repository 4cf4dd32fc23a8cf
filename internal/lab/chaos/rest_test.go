package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/rules"
)

// A relay's transaction stands open and is found; one that waits for it is not, nor is anybody else's.
func TestATransactionThatStandsOpenIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	relay, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "relay"})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	look := func() []Violation {
		found, err := staleTransactions(t.Context(), db.Pool, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	person, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer person.Rollback(context.WithoutCancel(t.Context()))
	if found := look(); len(found) > 0 {
		t.Errorf("got %v, want nothing while the relay has no transaction", found)
	}
	holder, err := relay.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.WithoutCancel(t.Context()))
	if _, err := holder.Exec(t.Context(), `LOCK TABLE outbox`); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := relay.Exec(t.Context(), `SELECT FROM outbox`)
		waiting <- err
	}()
	const blocked = `
		SELECT EXISTS (
			SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`
	for is := false; !is; {
		if err := db.Pool.QueryRow(t.Context(), blocked).Scan(&is); err != nil {
			t.Fatal(err)
		}
	}
	var found []Violation
	for len(found) == 0 {
		found = look()
	}
	if len(found) != 1 || found[0].Rule != rules.I21 || !strings.Contains(found[0].Detail, "idle in transaction") {
		t.Errorf("got %v, want the one that holds the lock", found)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("got %v, want that it only had to wait", err)
	}
}

// A process was to die at a failpoint, and did not come by in time. The episode is over, all is checked, and only then
// it dies, because it had not yet heard that it need not: that is the experiment's doing. What happens later is its
// own.
func TestAProcessThatWasSparedMayDieLate(t *testing.T) {
	t.Parallel()
	s := &system{spared: map[*stack.Process]reprieve{}}
	orderd, relay := &stack.Process{Name: "orderd"}, &stack.Process{Name: "relay"}
	began := time.Now()
	for _, tt := range []struct {
		name string
		dies time.Duration // after it was spared
		want bool
	}{{"at once", 0, true}, {"after some checks", hearsWithin, true}, {"much later", hearsWithin + 1, false}} {
		s.spare(orderd, failpoint.CancelBetween, began)
		if _, late := s.late(relay, began); late {
			t.Errorf("%s: got a late death of a relay that was never to die", tt.name)
		}
		at, late := s.late(orderd, began.Add(tt.dies))
		if late != tt.want || late && at != failpoint.CancelBetween {
			t.Errorf("%s: got %t at %q, want %t", tt.name, late, at, tt.want)
		}
		if _, late := s.late(orderd, began); late {
			t.Errorf("%s: got a second late death", tt.name)
		}
	}
}

func TestADaemonThatHoldsMoreThanItMayIsFound(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "# HELP go_goroutines Number of goroutines.\ngo_goroutines 20\n",
			"go_goroutines_other 7\nprocess_open_fds 3e+01\n")
	}))
	defer server.Close()
	got, err := holdingsOf(t.Context(), &stack.Process{Name: "orderd", AdminAddress: server.Listener.Addr().String()})
	want := holdings{goroutines: 20, files: 30}
	if err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, tt := range []struct {
		now  holdings
		want bool
	}{
		{want, false},
		{holdings{20 + moreGoroutines, 30 + moreFiles}, false},
		{holdings{21 + moreGoroutines, 30}, true},
		{holdings{20, 31 + moreFiles}, true},
	} {
		if got := tt.now.exceeds(want); got != tt.want {
			t.Errorf("%v against %v: got %t, want %t", tt.now, want, got, tt.want)
		}
	}
	if _, err := holdingsOf(t.Context(), &stack.Process{
		Name: "orderd", AdminAddress: "127.0.0.1:1",
	}); err == nil || !strings.Contains(err.Error(), "orderd") {
		t.Errorf("got %v, want an error that says who does not answer", err)
	}
}
