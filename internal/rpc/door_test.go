package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
)

const overloadedText = "more is asked for than can be done in time, and nothing was done: try again later"

// full returns a lane whose slot is taken for good, as those who wait for it have noticed.
func full(t *testing.T) *admission.Lane {
	t.Helper()
	lane := admission.NewLane("read", 1)
	for {
		if _, err := lane.Enter(t.Context()); err != nil {
			return lane
		}
	}
}

// laned serves orders, of which all but CreateOrder have a lane.
func laned(t *testing.T, o *orders, lane *admission.Lane) (*system, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	return start(t, o, func(c *ServerConfig) {
		c.Registry = registry
		c.Lane = func(method string) *admission.Lane {
			if method == orderv1.OrderService_CreateOrder_FullMethodName {
				return nil
			}
			return lane
		}
	}), registry
}

// scrape returns what a registry shows.
func scrape(registry *prometheus.Registry) string {
	reply := httptest.NewRecorder()
	request := httptest.NewRequest("GET", "/metrics", nil)
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(reply, request)
	return reply.Body.String()
}

// wantMetric fails the test unless a metric has a value: a name with labels, and the value behind a space.
func wantMetric(t *testing.T, registry *prometheus.Registry, line string) {
	t.Helper()
	if got := scrape(registry); !strings.Contains(got, "\n"+line+"\n") {
		t.Errorf("got %s\nwant %s", got, line)
	}
}

func refusedTotal(reason string, n int) string {
	return fmt.Sprintf(`hosho_rpc_refused_total{reason="%s"} %d`, reason, n)
}

func handledTotal(method string, code codes.Code, n int) string {
	return fmt.Sprintf(
		`grpc_server_handled_total{grpc_code="%s",grpc_method="%s",grpc_service="order.v1.OrderService"} %d`,
		code, method, n)
}

// A lane is full. Its calls and streams are refused, with an answer that says when to come back; no handler hears of
// them. Other lanes are not full.
func TestAFullLaneKeepsItsOwnCallsOut(t *testing.T) {
	t.Parallel()
	heard := func(context.Context) error { t.Error("a handler heard of the call"); return nil }
	s, registry := laned(t, &orders{get: heard, watch: heard}, full(t))
	for range 3 {
		err := s.get(t.Context())
		wantStatus(t, err, codes.ResourceExhausted, "OVERLOADED", overloadedText)
		if delay := RetryDelay(err); delay < time.Second/2 || delay > 3*time.Second/2 {
			t.Errorf("got a RetryInfo of %v, want about a second", delay)
		}
	}
	_, err := s.open(t, t.Context())
	wantStatus(t, err, codes.ResourceExhausted, "OVERLOADED", overloadedText)
	if _, err := s.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{}); err != nil {
		t.Errorf("a call of another lane: %v", err)
	}
	wantMetric(t, registry, refusedTotal("OVERLOADED", 4))
	wantMetric(t, registry, handledTotal("GetOrder", codes.ResourceExhausted, 3))
	wantMetric(t, registry, handledTotal("WatchOrder", codes.ResourceExhausted, 1))
	wantMetric(t, registry, "hosho_rpc_refusal_seconds_count 4")
}

// The one slot of a lane is given back by a call that goes on: it waits for others, and they are let in.
func TestACallThatWaitsGivesItsSlotBack(t *testing.T) {
	t.Parallel()
	waits, others := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	s, _ := laned(t, &orders{get: func(ctx context.Context) error {
		if first.CompareAndSwap(false, true) {
			LeaveLane(ctx)
			LeaveLane(ctx) // once is enough
			close(waits)
			<-others
			return nil
		}
		return ctx.Err()
	}}, admission.NewLane("one", 1))
	ended := make(chan error, 1)
	go func() { ended <- s.get(t.Context()) }()
	<-waits
	for range 3 {
		if err := s.get(t.Context()); err != nil {
			t.Errorf("while it waits: %v", err)
		}
	}
	close(others)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// gRPC keeps what it knows of a call that is refused at the door until the call's deadline, which may be in a year.
// Such a call is refused behind it, alike.
func TestAFullLaneRefusesACallThatHasAYear(t *testing.T) {
	t.Parallel()
	s, registry := laned(t, &orders{}, full(t))
	ctx, cancel := context.WithTimeout(t.Context(), 365*24*time.Hour)
	defer cancel()
	wantStatus(t, s.get(ctx), codes.ResourceExhausted, "OVERLOADED", overloadedText)
	wantMetric(t, registry, refusedTotal("OVERLOADED", 1))
	if line := s.log.call(t); line["level"] != "WARN" {
		t.Errorf("got %v, want a line of its own, from behind the door", line)
	}
}

// A lane has one slot. A call has it while its handler is at work, and no longer.
func TestACallHasItsSlotWhileItIsAtWork(t *testing.T) {
	t.Parallel()
	lane := admission.NewLane("read", 1)
	atWork, release := make(chan struct{}), make(chan struct{})
	s, _ := laned(t, &orders{get: func(context.Context) error {
		atWork <- struct{}{}
		<-release
		return nil
	}}, lane)
	answer := make(chan error)
	go func() { answer <- s.get(t.Context()) }()
	<-atWork
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lane.Enter(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want no slot beside the call", err)
	}
	close(release)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if _, err := lane.Enter(t.Context()); err != nil {
		t.Errorf("after the call: %v", err)
	}
}
