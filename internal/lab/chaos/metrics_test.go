package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hosho/internal/lab/stack"
	"hosho/internal/pgtest"
	"hosho/internal/rules"
)

// A relay tells of a command that is due, and the outbox is empty: that is found, and by what it is.
func TestAGaugeThatIsNotWhatTheTableHoldsIsFound(t *testing.T) {
	t.Parallel()
	due := "1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fmt.Fprintf(w, "hosho_outbox_commands{kind=\"CHARGE\",state=\"due\"} %s\n", due); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	daemon := func(name string) *stack.Process {
		return &stack.Process{Name: name, AdminAddress: strings.TrimPrefix(server.URL, "http://")}
	}
	r := &run{system: &system{
		Stack:  &stack.Stack{Orderd: daemon("orderd"), Paymentd: daemon("paymentd")},
		orders: pgtest.Orders(t).Pool, payments: pgtest.Payments(t).Pool,
	}}
	found, err := r.wrongGauges(t.Context())
	if err != nil || len(found) != 2 || found[0].Rule != rules.I22 ||
		!strings.Contains(found[0].Detail, `orderd: hosho_outbox_commands{kind="CHARGE",state="due"}: got 1`) {
		t.Errorf("got %v, error %v, want that of both daemons", found, err)
	}
	due = "0"
	if found, err := r.wrongGauges(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("got %v, error %v, want nothing of what is right", found, err)
	}
}
