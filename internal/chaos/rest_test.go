package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/stack"
)

// A relay's transaction stands open and is found; one that waits for it is not, nor is anybody else's.
func TestATransactionThatStandsOpenIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	relay, err := pg.Open(t.Context(), db.URL, "relay")
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
	const blocked = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`
	for is := false; !is; {
		if err := db.Pool.QueryRow(t.Context(), blocked).Scan(&is); err != nil {
			t.Fatal(err)
		}
	}
	var found []Violation
	for len(found) == 0 {
		found = look()
	}
	if len(found) != 1 || found[0].Rule != Stale || !strings.Contains(found[0].Detail, "idle in transaction") {
		t.Errorf("got %v, want the one that holds the lock", found)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("got %v, want that it only had to wait", err)
	}
}

func TestADaemonThatHoldsMoreThanItMayIsFound(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP go_goroutines Number of goroutines.\ngo_goroutines 20\ngo_goroutines_other 7\nprocess_open_fds 3e+01\n")
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
	if _, err := holdingsOf(t.Context(), &stack.Process{Name: "orderd", AdminAddress: "127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "orderd") {
		t.Errorf("got %v, want an error that says who does not answer", err)
	}
}
