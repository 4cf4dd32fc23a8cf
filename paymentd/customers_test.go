package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/authority"
	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
	"hosho/internal/trace"
)

// startSecured starts a paymentd that wants certificates, and returns a client for each name.
func startSecured(t *testing.T, policy string, names ...string) map[string]paymentv1.PaymentServiceClient {
	t.Helper()
	clients, _ := startLogged(t, policy, names...)
	return clients
}

// startLogged also returns the log.
func startLogged(
	t *testing.T, policy string, names ...string,
) (map[string]paymentv1.PaymentServiceClient, *logLines) {
	t.Helper()
	folder := t.TempDir()
	if _, err := authority.Fill(folder, append(names, "paymentd"), []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "policy")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	tlsOf := func(name string) daemon.TLS {
		own := filepath.Join(folder, name)
		return daemon.TLS{
			Cert: filepath.Join(own, authority.CertFile), Key: filepath.Join(own, authority.KeyFile),
			CA: filepath.Join(own, authority.CAFile),
		}
	}
	log := newLogLines()
	s := &serve{
		Database:   daemon.Database{DatabaseURL: pgtest.Payments(t).As(t, paymentdb.Needs()).URL},
		Listen:     daemon.Listen{Listen: "127.0.0.1:0"},
		Durability: daemon.Durability{AllowUnsafeDurability: true},
		Security:   daemon.Security{TLS: tlsOf("paymentd"), Allow: file},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, slog.New(slog.NewJSONHandler(log, nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("paymentd ended with %v", err)
		}
	})
	address := log.await("serving")["address"].(string)
	log.await("ready")
	clients := map[string]paymentv1.PaymentServiceClient{}
	for _, name := range names {
		certificate, err := tlsOf(name).Open(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := rpc.Dial(address, rpc.As(certificate, authority.ID("paymentd")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		clients[name] = paymentv1.NewPaymentServiceClient(conn)
	}
	return clients, log
}

const everyMethod = "payment.v1.PaymentService/ProcessPayments,payment.v1.PaymentService/ChargePayment," +
	"payment.v1.PaymentService/VoidPayment,payment.v1.PaymentService/GetPayment," +
	"payment.v1.PaymentService/ListPayments"

// Whoever may have payments decided for some customers cannot charge another, nor give his money back, in a call or in
// a stream, where a command is refused alone. To him there are no payments of others.
func TestOnlyCustomersOfThePolicyAreChargedVoidedAndSeen(t *testing.T) {
	t.Parallel()
	as := startSecured(t, authority.ID("shop1")+" "+everyMethod+" shop1:,ada\n"+
		authority.ID("relay")+" "+everyMethod+" *\n", "shop1", "relay")
	ctx := t.Context()
	chargeOf := func(customer string) *paymentv1.ChargePaymentRequest {
		r := newCharge(1200)
		r.CustomerId = customer
		return r
	}
	for customer, want := range map[string]codes.Code{
		"ada": codes.OK, "shop1:eve": codes.OK, "shop10:eve": codes.PermissionDenied, "bob": codes.PermissionDenied,
	} {
		asked, paid := chargeOf(customer), chargeOf(customer)
		if _, err := as["relay"].ChargePayment(ctx, paid); err != nil {
			t.Fatal(err)
		}
		unseen := want
		if want == codes.PermissionDenied {
			unseen = codes.NotFound
		}
		_, charged := as["shop1"].ChargePayment(ctx, asked)
		_, got := as["shop1"].GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: paid.PaymentId})
		_, listed := as["shop1"].ListPayments(ctx, &paymentv1.ListPaymentsRequest{CustomerId: customer})
		_, voided := as["shop1"].VoidPayment(ctx, voidOf(paid))
		for what, err := range map[string]error{"charge": charged, "list": listed, "void": voided} {
			if status.Code(err) != want {
				t.Errorf("%s of %s: got %v, want %s", what, customer, err, want)
			}
			if strings.Contains(status.Convert(err).Message(), customer) { // what the log has, too
				t.Errorf("%s of %s: got %v, want it without the customer", what, customer, err)
			}
		}
		if status.Code(got) != unseen {
			t.Errorf("get a payment of %s: got %v, want %s", customer, got, unseen)
		}
		left, err := as["relay"].GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: paid.PaymentId})
		if err != nil || want != codes.OK && left.GetPayment().GetStatus() != paymentv1.Payment_STATUS_CHARGED {
			t.Errorf("the payment of %s: got %v, error %v, want it as it was", customer, left.GetPayment(), err)
		}
	}
	for who, want := range map[string]codes.Code{"shop1": codes.PermissionDenied, "relay": codes.OK} {
		if _, err := as[who].ListPayments(ctx, &paymentv1.ListPaymentsRequest{}); status.Code(err) != want {
			t.Errorf("%s lists everybody's: got %v, want %s", who, err, want)
		}
	}
	stream, err := as["shop1"].ProcessPayments(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k, own, others := &talk{stream, t}, chargeOf("ada"), chargeOf("bob")
	k.send(own, others, voidOf(others))
	results := k.receive(3)
	if r := find(t, results, kindCharge, own.GetPaymentId()); r.GetError() != nil {
		t.Errorf("in a stream: got %v of one's own customer", r.GetError())
	}
	for _, kind := range []paymentv1.PaymentResult_Kind{kindCharge, kindVoid} {
		wantResultError(t, find(t, results, kind, others.GetPaymentId()), codes.PermissionDenied, "NOT_ALLOWED")
	}
}

// A payment that is decided has one line, at the level of what happens every day, and it tells who asked: in a call as
// in a stream.
func TestTheLineOfAPaymentTellsWhoAsked(t *testing.T) {
	t.Parallel()
	as, log := startLogged(t, authority.ID("relay")+" "+everyMethod+" *\n", "relay")
	called, streamed := newCharge(500), newCharge(600)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent := "00-" + id + "-00f067aa0ba902b7-01"
	if _, err := as["relay"].ChargePayment(trace.Send(t.Context(), traceparent), called); err != nil {
		t.Fatal(err)
	}
	stream, err := as["relay"].ProcessPayments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	command := &paymentv1.PaymentCommand{
		Command: &paymentv1.PaymentCommand_Charge{Charge: streamed}, Traceparent: traceparent,
	}
	err = stream.Send(&paymentv1.ProcessPaymentsRequest{Commands: []*paymentv1.PaymentCommand{command}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*paymentv1.ChargePaymentRequest{called, streamed} {
		lines := log.about(c.GetPaymentId())
		if len(lines) != 1 || lines[0]["msg"] != "payment" || lines[0]["status"] != "CHARGED" ||
			lines[0]["identity"] != authority.ID("relay") || lines[0]["trace_id"] != id {
			t.Errorf("got %v, want one line of the payment, who asked, and in which trace", lines)
		}
	}
}
