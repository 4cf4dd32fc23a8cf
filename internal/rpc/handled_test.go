package rpc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"hosho/internal/validate"
)

// What comes to be with its first error has no rate: each code of each method is there from the beginning, and calls
// of gRPC's own services are nobody's.
func TestEachCallIsCountedByItsMethodAndCode(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	var fields validate.Fields
	fields.Add("order_id", "got none")
	answers := []error{nil, nil, fields.Err(), errors.New("a bug")}
	s := start(t, &orders{get: func(context.Context) error {
		answer := answers[0]
		answers = answers[1:]
		return answer
	}}, func(c *ServerConfig) { c.Registry = registry })
	wantMetric(t, registry, handledTotal("GetOrder", codes.Internal, 0))
	for len(answers) > 0 {
		_ = s.get(t.Context()) // each as it is to be
	}
	if _, err := s.open(t, t.Context()); err != nil {
		t.Fatal(err)
	}
	wantMetric(t, registry, handledTotal("GetOrder", codes.OK, 2))
	wantMetric(t, registry, handledTotal("GetOrder", codes.InvalidArgument, 1))
	wantMetric(t, registry, handledTotal("GetOrder", codes.Internal, 1))
	const timed = `grpc_server_handling_seconds_count{grpc_method="GetOrder",grpc_service="order.v1.OrderService"} 4`
	wantMetric(t, registry, timed)
	for _, unwanted := range []string{
		`grpc_method="WatchOrder",grpc_service="order.v1.OrderService",le=`, "grpc.health",
	} {
		if text := scrape(registry); strings.Contains(text, unwanted) {
			t.Errorf("got %s\nwant no %s", text, unwanted)
		}
	}
	wantMetric(t, registry, "hosho_ready 1")
}

// A method that nobody serves is whatever a client likes to write: a million of them would be a million series.
func TestMethodsThatNobodyServesAreNotCounted(t *testing.T) {
	t.Parallel()
	h := newHandled(nil)
	h.count("/order.v1.OrderService/Invented", codes.Unimplemented, 0)
	registry := prometheus.NewRegistry()
	registry.MustRegister(h.total)
	if text := scrape(registry); strings.Contains(text, "Invented") {
		t.Errorf("got %s", text)
	}
}
