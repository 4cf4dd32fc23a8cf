package browsertest

import (
	"strings"
	"testing"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/slow"
)

// Without JavaScript a person sees what there is, follows an order, and decides what no machine can.
func TestItWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system and a browser; others look at the same pages with JavaScript")
	s := start(t)
	taken := s.orderWithTakenKey()
	p := newVisitor(t).open("about:blank")
	p.scriptless()
	p.open(s.console())
	p.says("noscript", "Without JavaScript")
	p.says("main", "The ledger")

	p.open(p.here("/orders/" + taken))
	p.says("table", "KEY_REUSED")
	p.click(`nav a[href="/person"]`)
	p.says("main", "KEY_REUSED")
	p.says("main", taken)
	s.decide(p, "retry", taken, "once more")
	p.open(p.here("/person"))
	s.decide(p, "settle", taken, "the key is taken")
	reply, err := s.orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: taken})
	must(t, err)
	if status := reply.GetOrder().GetStatus(); status != orderv1.Order_STATUS_CANCELLED {
		t.Errorf("got %v after it was settled, want it CANCELLED", status)
	}
	p.open(p.here("/orders/" + taken))
	p.says("table", "the key is taken")
}

// decide fills in a form about an order and sends it.
func (s system) decide(p page, what, id, reason string) {
	p.t.Helper()
	form := `form[action*="` + what + `"]`
	p.comes("the form to "+what+" "+id, `document.querySelector(`+quoted(form)+`) !== null`)
	p.fill(form+` [name="reason"]`, reason)
	p.click(form + ` button`)
	p.says("main", id)
}

// orderWithTakenKey places an order under whose key another payment has been made before its charge came, and waits
// until it is parked.
func (s system) orderWithTakenKey() string {
	s.t.Helper()
	s.Relays[0].Kill()
	id := s.order(600, "ada")
	conn, err := s.Dial(s.Paymentd, "relay")
	must(s.t, err)
	defer conn.Close()
	_, err = paymentv1.NewPaymentServiceClient(conn).ChargePayment(s.t.Context(), &paymentv1.ChargePaymentRequest{
		PaymentId: id, CustomerId: "ada", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1},
	})
	must(s.t, err)
	must(s.t, s.Relays[0].Start())
	must(s.t, s.Relays[0].WaitReady(s.t.Context()))
	return id
}

// A browser that was not given the token sees everything and can do nothing, and one of a read-only console no more.
func TestWithoutTheTokenThereIsNothingToPress(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system and a browser; the console's own tests send such requests")
	s := start(t)
	address, _, _ := strings.Cut(s.console(), "?")
	readOnly := s.console("--read-only")
	for _, at := range []string{address, readOnly} {
		p := newVisitor(t).open(at)
		for _, path := range []string{"/", "/person", "/agree"} {
			p.open(p.here(path))
			if n := p.has(`form[method="post"]`); n > 0 {
				t.Errorf("%s%s: got %d forms that do something, want none", at, path, n)
			}
		}
		answer := eval[int](p, `fetch("/anew", {method: "POST"}).then(r => r.status)`)
		if answer != 403 {
			t.Errorf("%s: a POST was answered %d, want 403", at, answer)
		}
	}
}
