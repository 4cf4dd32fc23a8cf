package rpc

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	orderv1 "hosho/gen/order/v1"
)

// talkative sends a watcher more than is on its way at a time.
type talkative struct {
	orders

	timeout time.Duration
}

const talk = 4 * clientWindow // bytes, several times what flow control lets through

func (o *talkative) WatchOrder(
	_ *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse],
) error {
	message := &orderv1.WatchOrderResponse{Order: &orderv1.Order{OrderId: strings.Repeat("x", talk/32)}}
	for range 32 {
		if err := SendWithin(o.timeout, func() error { return stream.Send(message) }); err != nil {
			return err
		}
	}
	return nil
}

func startTalkative(t *testing.T, timeout time.Duration) *system {
	t.Helper()
	return start(t, &orders{}, func(c *ServerConfig) {
		c.Register = func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, &talkative{timeout: timeout}) }
	})
}

func TestAStreamWhoseRepliesAreNotReadIsEnded(t *testing.T) {
	t.Parallel()
	s := startTalkative(t, time.Millisecond)
	stream, err := s.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: orderID})
	if err != nil {
		t.Fatal(err)
	}
	if line := s.log.call(t); line["code"] != "RESOURCE_EXHAUSTED" || line["error"] != ErrRepliesUnread.Error() {
		t.Errorf("got %v, want the stream ended since its replies are not read", line)
	}
	for err == nil { // what is on its way comes before the end
		_, err = stream.Recv()
	}
	wantStatus(t, err, codes.ResourceExhausted, "REPLIES_UNREAD",
		"the replies were not read: ask again under the same keys, and read what is answered")
}

func TestAStreamThatIsReadIsSentAll(t *testing.T) {
	t.Parallel()
	s := startTalkative(t, longWait)
	stream, err := s.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: orderID})
	if err != nil {
		t.Fatal(err)
	}
	received := 0
	for {
		reply, err := stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) || received != talk {
				t.Errorf("got %d bytes, then %v, want %d and the end", received, err, talk)
			}
			return
		}
		received += len(reply.GetOrder().GetOrderId())
	}
}
