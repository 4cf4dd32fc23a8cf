package rpc

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	orderv1 "hosho/gen/order/v1"
)

// What it costs a call to be counted and timed.
func BenchmarkCount(b *testing.B) {
	server := grpc.NewServer()
	orderv1.RegisterOrderServiceServer(server, &orders{})
	h := newHandled(prometheus.NewRegistry())
	h.serves(server.GetServiceInfo())
	b.ReportAllocs()
	for b.Loop() {
		h.count(orderv1.OrderService_GetOrder_FullMethodName, codes.OK, 3*time.Millisecond)
	}
}
