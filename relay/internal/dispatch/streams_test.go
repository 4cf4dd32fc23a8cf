package dispatch

import (
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// What a stream is left after, and listened to, unless a test says something else.
func TestTheUsualLifeOfAStream(t *testing.T) {
	t.Parallel()
	if got := (Config{}).renew(); got != 5*time.Minute {
		t.Errorf("got a stream left after %v, want 5 minutes", got)
	}
	if got := (Config{}).listen(); got != 30*time.Second {
		t.Errorf("got a stream listened to for %v, want 30 s", got)
	}
	if remembered != 4 {
		t.Errorf("got %d batches of silent deliveries remembered, want 4", remembered)
	}
}

// patient takes streams, and ends none.
type patient struct {
	paymentv1.UnimplementedPaymentServiceServer
}

func (patient) ProcessPayments(stream paymentv1.PaymentService_ProcessPaymentsServer) error {
	<-stream.Context().Done()
	return nil
}

// Four streams follow each other, and none of them ends. The last two that were left are listened to.
func TestTwoStreamsThatWereLeftAreListenedTo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	paymentv1.RegisterPaymentServiceServer(server, patient{})
	go server.Serve(listener)
	defer server.Stop()
	conn, err := rpc.Dial(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := paymentv1.NewPaymentServiceClient(conn)
	l := &streams{}
	var all []*stream
	for range 4 {
		opened, err := client.ProcessPayments(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := &stream{grpc: opened, added: wait.NewBell()}
		all = append(all, s)
		l.follow(s)
	}
	var left, deaf []bool
	for _, s := range all {
		left, deaf = append(left, s.left), append(deaf, s.deaf)
	}
	if diff := cmp.Diff([]bool{true, true, true, false}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, false, false, false}, deaf); diff != "" {
		t.Errorf("not listened to any more (-want +got):\n%s", diff)
	}
}
