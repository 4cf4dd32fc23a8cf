package rpc

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// A client opens more calls than there may be requests on their way, and never sends a message. It is in its own way:
// others are served, in the place of its oldest.
func TestRequestsThatNeverArriveTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{}, func(c *ServerConfig) { c.MaxReceive = 4 << 20 })
	if err := s.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, s.address)
	for n := range uint32(fewArriving + 20) {
		c.open(t, 2*n+1, "/order.v1.OrderService/GetOrder")
	}
	c.await(t, func(f http2.Frame) bool { return f.Header().StreamID == 2*fewArriving+1 }) // it is refused: they are in
	for range 3 {
		if err := s.get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ended := c.await(t, func(f http2.Frame) bool { return f.Header().StreamID == 1 }); ended {
		t.Error("the whole connection was ended, want the oldest call alone")
	}
}

func TestTheOldestRequestOfWhoHasTheMostGivesWay(t *testing.T) {
	t.Parallel()
	a := newArriving(1 << 30)
	a.most = 3
	var ended []int
	enter := func(n int, from string) (*request, error) {
		return a.enter(from, func() { ended = append(ended, n) })
	}
	var second *request
	for n := range 3 {
		r, err := enter(n, "many")
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			second = r
		}
	}
	if _, err := enter(3, "many"); err == nil {
		t.Error("who has the most: got one more in, want it refused")
	}
	if _, err := enter(4, "few"); err != nil || !slices.Equal(ended, []int{0}) {
		t.Errorf("got %v ended, error %v; want the first alone", ended, err)
	}
	a.leave(second)
	a.leave(second) // counts once
	if got := a.count; got != 2 {
		t.Errorf("got %d on their way when one has come, want 2", got)
	}
}

// gRPC's clients may watch a server's health for as long as they are connected.
func TestHealthIsWatchedForLongerThanACallMayTake(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{}, func(c *ServerConfig) { c.Reflection, c.CallTimeout = true, 100*time.Millisecond })
	watch, err := healthpb.NewHealthClient(s.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("reflection: got %v, want its time to be over", err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := watch.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		t.Errorf("the watch ended when the time of a call was over: %v", err)
	case <-time.After(100 * time.Millisecond): // as long again
	}
}
