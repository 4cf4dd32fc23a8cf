package middleman

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/identity"
	"hosho/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longest bounds every wait. It is long, so that only a test that would fail runs into it.
const longest = 30 * time.Second

// bank is a payment service that charges whatever it is asked to, and counts.
type bank struct {
	paymentv1.UnimplementedPaymentServiceServer

	mu    sync.Mutex
	by    string // who has opened a stream last
	asked map[string]int
	grown chan struct{} // closed when it was asked
}

func (b *bank) ChargePayment(
	_ context.Context, r *paymentv1.ChargePaymentRequest,
) (*paymentv1.ChargePaymentResponse, error) {
	return &paymentv1.ChargePaymentResponse{Payment: b.charge(r)}, nil
}

// database is what the bank says that it has.
const database = "01990000-0000-4000-8000-000000000000"

func (b *bank) ProcessPayments(stream paymentv1.PaymentService_ProcessPaymentsServer) error {
	b.mu.Lock()
	b.by = identity.Of(stream.Context())
	b.mu.Unlock()
	if err := stream.SendHeader(rpc.Introduction{Database: database}.Header()); err != nil {
		return err
	}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		reply := &paymentv1.ProcessPaymentsResponse{}
		for _, c := range request.GetCommands() {
			reply.Results = append(reply.Results, &paymentv1.PaymentResult{
				PaymentId: c.GetCharge().GetPaymentId(), Kind: paymentv1.PaymentResult_KIND_CHARGE,
				Outcome: &paymentv1.PaymentResult_Payment{Payment: b.charge(c.GetCharge())},
			})
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
}

func (b *bank) charge(r *paymentv1.ChargePaymentRequest) *paymentv1.Payment {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[r.GetPaymentId()]++
	close(b.grown)
	b.grown = make(chan struct{})
	return &paymentv1.Payment{
		PaymentId: r.GetPaymentId(), Amount: r.GetAmount(), Status: paymentv1.Payment_STATUS_CHARGED,
	}
}

// await waits until the bank was asked for a payment so often.
func (b *bank) await(t *testing.T, id string, want int) {
	t.Helper()
	deadline := time.After(longest)
	for {
		b.mu.Lock()
		got, grown := b.asked[id], b.grown
		b.mu.Unlock()
		if got >= want {
			return
		}
		select {
		case <-grown:
		case <-deadline:
			t.Fatalf("the bank was asked %d times for %s, want %d", got, id, want)
		}
	}
}

func (b *bank) times(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[id]
}

// between puts a middleman in front of a bank, and returns a client of the middleman's.
func between(t *testing.T) (*bank, *Middleman, paymentv1.PaymentServiceClient) {
	t.Helper()
	return disguised(t, Disguise{})
}

// disguised does it with certificates: the bank has paymentd's and the client a relay's, as the middleman has.
func disguised(t *testing.T, as Disguise) (*bank, *Middleman, paymentv1.PaymentServiceClient) {
	t.Helper()
	b := &bank{asked: map[string]int{}, grown: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := as.server()
	paymentv1.RegisterPaymentServiceServer(server, b)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	m, err := New(listener.Addr().String(), 1, as)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err := as.dial(m.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return b, m, paymentv1.NewPaymentServiceClient(conn)
}

func charge(id string) *paymentv1.ChargePaymentRequest {
	return &paymentv1.ChargePaymentRequest{PaymentId: id, Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 600}}
}

// sendTwo sends two charges in one message, and returns what comes back for each.
func sendTwo(t *testing.T, client paymentv1.PaymentServiceClient) map[string]*paymentv1.PaymentResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	stream, err := client.ProcessPayments(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request := &paymentv1.ProcessPaymentsRequest{}
	for _, id := range []string{"a", "b"} {
		request.Commands = append(request.Commands,
			&paymentv1.PaymentCommand{Command: &paymentv1.PaymentCommand_Charge{Charge: charge(id)}})
	}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	header, err := stream.Header()
	if got := rpc.ReadIntroduction(header).Database; err != nil || got != database {
		t.Errorf("got database %q, %v, want that of the payment service, %s", got, err, database)
	}
	got := map[string]*paymentv1.PaymentResult{}
	for len(got) < 2 {
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reply.GetResults() {
			got[r.GetPaymentId()] = r
		}
	}
	return got
}

// Each trick, on a stream and in a call of its own: what the relay is told, and how often the payment service is asked.
func TestTricks(t *testing.T) {
	t.Parallel()
	paid := func(r *paymentv1.PaymentResult) bool {
		return r.GetPayment().GetStatus() == paymentv1.Payment_STATUS_CHARGED &&
			r.GetPayment().GetAmount().GetAmountMinor() == 600
	}
	refused := func(r *paymentv1.PaymentResult) bool { return r.GetError().GetCode() != 0 }
	tests := []struct {
		name        string
		trick       Trick
		told        func(*paymentv1.PaymentResult) bool
		least, most int // how often the payment service is asked for each
	}{
		{"none", nil, paid, 1, 1},
		{"a code before", CodeBefore, refused, 0, 0},
		{
			"a failure", Fail,
			func(r *paymentv1.PaymentResult) bool { return codes.Code(r.GetError().GetCode()) == codes.Internal }, 0, 0,
		},
		{"a code after", CodeAfter, refused, 1, 1},
		{"an unknown status", Unknown, func(r *paymentv1.PaymentResult) bool {
			s := r.GetPayment().GetStatus()
			return s == paymentv1.Payment_STATUS_UNSPECIFIED || s == 99
		}, 1, 1},
		{
			"a wrong echo", WrongEcho,
			func(r *paymentv1.PaymentResult) bool { return r.GetPayment().GetAmount().GetAmountMinor() == 601 }, 1, 1,
		},
		{
			"a forged echo", ForgedEcho,
			func(r *paymentv1.PaymentResult) bool { return r.GetPayment().GetAmount().GetAmountMinor() == 601 }, 0, 0,
		},
		{"an overload", Overload, func(r *paymentv1.PaymentResult) bool {
			return codes.Code(r.GetError().GetCode()) == codes.ResourceExhausted &&
				r.GetError().GetRetryDelay().GetSeconds() == 1
		}, 0, 0},
		{"held", Hold(time.Millisecond), paid, 1, 1},
		{"repeated", Repeat, paid, 2, 5},
		{"replayed", Replay(time.Millisecond), paid, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, m, client := between(t)
			m.Behave(Behaviour{Trick: tt.trick, Share: 1})
			for id, r := range sendTwo(t, client) {
				if !tt.told(r) {
					t.Errorf("%s: got %v", id, r)
				}
				b.await(t, id, tt.least)
				if got := b.times(id); got > tt.most {
					t.Errorf("%s: the payment service was asked %d times, want at most %d", id, got, tt.most)
				}
			}
			reply, err := client.ChargePayment(t.Context(), charge("alone"))
			alone := &paymentv1.PaymentResult{Outcome: &paymentv1.PaymentResult_Payment{Payment: reply.GetPayment()}}
			if err != nil {
				alone = (&call{command: &paymentv1.PaymentCommand{}}).result(nil, err)
			}
			if !tt.told(alone) {
				t.Errorf("alone: got %v, %v", reply, err)
			}
		})
	}
}

// What is swallowed is never answered. What else was sent with it is.
func TestSilenceConcernsOneCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		trick Trick
		asked int
	}{{"never carried out", Silence, 0}, {"the reply is lost", LostReply, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, m, client := between(t)
			m.Behave(Behaviour{Trick: tt.trick, Share: 1})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := client.ChargePayment(ctx, charge("silent")); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v, want no answer", err)
			}
			b.await(t, "silent", tt.asked)
			m.Behave(Behaviour{})
			if got := sendTwo(t, client); len(got) != 2 {
				t.Errorf("got %v, want two answers", got)
			}
		})
	}
}

// Every one of the sixteen codes comes up, with a reason and without.
func TestEveryCodeComesUp(t *testing.T) {
	t.Parallel()
	_, m, client := between(t)
	m.Behave(Behaviour{Trick: CodeBefore, Share: 1})
	seen := map[codes.Code]map[bool]bool{}
	for range 1000 {
		_, err := client.ChargePayment(t.Context(), charge("a"))
		code := status.Code(err)
		if seen[code] == nil {
			seen[code] = map[bool]bool{}
		}
		seen[code][rpc.Reason(err) != ""] = true
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		if len(seen[code]) != 2 {
			t.Errorf("%s: got %v, want it with a reason and without", code, seen[code])
		}
	}
}
