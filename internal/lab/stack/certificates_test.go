package stack_test

import (
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/authority"
	"hosho/internal/lab/stack"
	"hosho/internal/proc"
	"hosho/internal/rpc"
	"hosho/internal/slow"
)

// Every connection is mutual TLS. Orders are paid and cancelled as without; who has no certificate gets no further than
// the handshake, and who has one does what the policy lets him.
func TestTheSystemWorksWithCertificates(t *testing.T) {
	t.Parallel()
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS = true })
	paid, declined := s.place(t, 1200), s.place(t, 9996)
	s.await(t, "every order is settled", allSettled)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != 1 || report.Orders["CANCELLED"] != 1 {
		t.Errorf("got orders %v (%s, %s), want one COMPLETED and one CANCELLED", report.Orders, paid, declined)
	}
	for _, p := range s.Daemons() {
		conn, err := rpc.Dial(p.Address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: paid})
		conn.Close()
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s, plaintext: got %v, want it refused", p.Name, err)
		}
		check := exec.CommandContext(t.Context(), p.Program(), "healthcheck")
		check.Env = proc.Environment(p.Settings...)
		if output, err := check.CombinedOutput(); err != nil || !strings.Contains(string(output), "SERVING") {
			t.Errorf("%s healthcheck: got %s, error %v; want SERVING", p.Name, output, err)
		}
	}
	for who, want := range map[string]codes.Code{
		"operator": codes.NotFound, "shop": codes.PermissionDenied, "reader": codes.PermissionDenied,
	} {
		conn, err := s.Dial(s.Relays[0], who)
		if err != nil {
			t.Fatal(err)
		}
		_, err = relayv1.NewOutboxServiceClient(conn).RetryParked(t.Context(), &relayv1.RetryParkedRequest{
			OrderId: paid, Kind: relayv1.ParkedCommand_KIND_CHARGE,
		})
		conn.Close()
		if status.Code(err) != want {
			t.Errorf("%s retries a command: got %v, want %s", who, err, want)
		}
		if conn, err = s.Dial(s.Paymentd, who); err != nil {
			t.Fatal(err)
		}
		_, err = paymentv1.NewPaymentServiceClient(conn).ChargePayment(t.Context(), &paymentv1.ChargePaymentRequest{})
		conn.Close()
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s charges: got %v, want it refused", who, err)
		}
	}
}

// Somebody stands where paymentd is to be, with a certificate of the same authority. Nothing is sent to it: orders
// wait, and are paid when the right one is there. Whoever has one tried again meanwhile is written down as the one who
// is in his certificate, whatever he calls himself.
func TestNothingIsSentToWhoIsNotPaymentd(t *testing.T) {
	slow.Long(t, "has a whole system wait, as that of a relay that asks nobody who is not paymentd")
	t.Parallel()
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS = true })
	s.Relays[0].Kill()
	if err := s.Relays[0].Start("RELAY_PAYMENT_IDENTITY=spiffe://hosho.test/another"); err != nil {
		t.Fatal(err)
	}
	waiting := s.place(t, 1200)
	s.await(t, "it was tried twice", `SELECT count(*) FILTER (WHERE claims > 1) = 1 FROM outbox`)
	var payments int
	if err := s.payments.QueryRow(t.Context(), `SELECT count(*) FROM payments`).Scan(&payments); err != nil {
		t.Fatal(err)
	}
	if payments > 0 {
		t.Errorf("got %d payments, want none", payments)
	}
	conn, err := s.Dial(s.Relays[0], "operator")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = relayv1.NewOutboxServiceClient(conn).RetryParked(t.Context(), &relayv1.RetryParkedRequest{
		OrderId: waiting, Kind: relayv1.ParkedCommand_KIND_CHARGE, Operator: "mallory",
	})
	if err != nil {
		t.Fatal(err)
	}
	var operator string
	if err := s.orders.QueryRow(t.Context(), `SELECT operator FROM audit`).Scan(&operator); err != nil {
		t.Fatal(err)
	}
	if want := authority.ID("operator"); operator != want {
		t.Errorf("got %q in the audit, want %q", operator, want)
	}
	s.Relays[0].Kill()
	if err := s.Relays[0].Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "every order is settled", allSettled)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != 1 {
		t.Errorf("got orders %v, want one COMPLETED", report.Orders)
	}
}
