package console

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/reconcile"
	"hosho/internal/story"
)

// The page of an order has the rows of sagactl explain, field by field, and its JSON to the letter.
func TestTheOrdersPageIsTheExplanation(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, amount := range []int64{600, 9999, 9998, 9996} {
		id := s.place(t, amount, true)
		told := story.Ask(t.Context(), s.services(t), id)
		for show, want := range map[bool]story.Story{true: told, false: told.WithoutCustomers()} {
			b := s.serve(t, func(c *Config) { c.ShowCustomers = show })
			var encoded bytes.Buffer
			if err := want.Encode(&encoded); err != nil {
				t.Fatal(err)
			}
			body := b.wants("/orders/"+id+".json", nil, http.StatusOK)
			if diff := cmp.Diff(fields(t, encoded.String()), fields(t, body)); diff != "" {
				t.Errorf("%d as JSON (-want +got):\n%s", amount, diff)
			}
			page := b.wants("/orders/"+id, nil, http.StatusOK, id, story.Status(told.Order.GetStatus()))
			if diff := cmp.Diff(fields(t, encoded.String())["timeline"], any(timeline(t, page))); diff != "" {
				t.Errorf("%d, its rows (-want +got):\n%s", amount, diff)
			}
			for _, private := range []string{"mallory", "a lamp"} {
				if got := strings.Contains(body+page, private); got != show {
					t.Errorf("%d: got %q shown: %t, want %t", amount, private, got, show)
				}
			}
		}
	}
	s.Paymentd.Kill()
	id := s.place(t, 600, false)
	b := s.serve(t, func(*Config) {})
	b.wants("/orders/"+id, nil, http.StatusOK, "This is incomplete", "PENDING", "not known")
	const nobodys = "0190b6a4-7c5e-7d3a-8f00-0123456789ab"
	b.wants("/orders/"+nobodys, nil, http.StatusOK, "no such order") // paymentd may know
	s.back(t)
	b.wants("/orders/"+nobodys, nil, http.StatusNotFound, "Nobody knows an order "+nobodys)
}

// What needs a person is listed and decided without JavaScript. Who decided and why is kept, and nobody decides without
// the token, nor where the console is read-only.
func TestWhatNeedsAPersonIsDecidedByForms(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	b := s.serve(t, func(*Config) {})
	b.wants("/person", nil, http.StatusOK, "Nothing needs a person")
	retried, settled := s.parked(t), s.parked(t)
	b.wants("/person", nil, http.StatusOK, retried, settled, "KEY_REUSED", "it is voided at",
		`action="/person/retry"`, `action="/person/settle"`)
	for _, change := range []func(*Config){
		func(c *Config) { c.ReadOnly = true }, func(c *Config) { c.Token = "" },
	} {
		view := s.serve(t, change)
		for _, path := range []string{"/", "/person", "/orders/" + retried, "/agree"} {
			if _, body := view.open(path, nil); strings.Contains(body, "<form") {
				t.Errorf("%s: got a form where nobody may do anything", path)
			}
		}
		form := url.Values{"order": {retried}, "reason": {"I may not"}}
		view.wants("/person/settle", form, http.StatusForbidden, "This console is read-only")
	}
	b.wants("/person/retry", url.Values{"order": {retried}, "kind": {"CHARGE"}, "reason": {"mended"}},
		http.StatusOK, "The CHARGE of order "+retried+" is due now.")
	b.wants("/person/settle", url.Values{"order": {settled}, "reason": {""}, "back": {"order"}},
		http.StatusConflict, "Nothing was done", "reason", settled)
	b.wants("/person/settle", url.Values{"order": {settled}, "reason": {"it is eve's"}, "back": {"order"}},
		http.StatusOK, "Order "+settled+" is CANCELLED by hand", "settled by hand, by ada: it is eve's")
	b.wants("/person/settle", url.Values{"order": {"x"}}, http.StatusBadRequest, "which is no order's id")
	b.wants("/person/retry", url.Values{"order": {settled}}, http.StatusConflict, "no such command")
	s.audited(t, retried, "RETRY ada mended")
	s.audited(t, settled, "SETTLE ada it is eve's")
}

func (s *system) audited(t *testing.T, id, want string) {
	t.Helper()
	var got string
	err := s.orders.QueryRow(t.Context(), `
		SELECT string_agg(concat_ws(' ', action, operator, reason), '; ') FROM audit WHERE order_id = $1`,
		id).Scan(&got)
	if err != nil || got != want {
		t.Errorf("audit of %s: got %q, error %v; want %q", id, got, err, want)
	}
}

// The books are compared when somebody asks for it. What is wrong is told with what it means and what mends it.
func TestTheDatabasesAreComparedByAForm(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	paid := s.place(t, 600, true)
	b := s.serve(t, func(*Config) {})
	if _, body := b.open("/agree", nil); strings.Contains(body, "Compared") {
		t.Error("got a comparison that nobody asked for")
	}
	if got := b.compared(); !strings.Contains(got, "The two databases agree.") || !strings.Contains(got, "by ada at") {
		t.Errorf("got\n%s\nwant that they agree, and who asked", got)
	}
	for _, statement := range []string{
		`ALTER TABLE ledger DISABLE TRIGGER USER`, `ALTER TABLE payments DISABLE TRIGGER USER`,
		`DELETE FROM ledger`, `DELETE FROM payments`,
	} {
		if _, err := s.payments.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for show, customer := range map[bool]string{false: reconcile.Customer, true: "mallory"} {
		got := s.serve(t, func(c *Config) { c.ShowCustomers = show }).compared()
		for _, want := range []string{
			"completed-not-held", "Findings: 1", paid, "sagactl order cancel " + paid,
			`"customer_id": "` + customer + `"`, "No step of the saga collects it again",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("got\n%s\nwant %q in it", got, want)
			}
		}
	}
	s.serve(t, func(c *Config) { c.Compare = nil }).wants("/agree", nil, http.StatusOK, "--orders-url")
	broken := s.serve(t, func(c *Config) {
		c.Compare = func(ctx context.Context, _ reconcile.Options) (reconcile.Summary, error) {
			<-ctx.Done()
			return reconcile.Summary{}, ctx.Err()
		}
	})
	broken.wants("/agree", url.Values{"x": {"1"}}, http.StatusOK, "Comparing")
	broken.wants("/agree/stop", url.Values{"x": {"1"}}, http.StatusOK)
	eventually(t, "it is stopped", func() bool {
		_, body := broken.open("/agree", nil)
		return strings.Contains(body, "stopped before its end")
	})
}
