package main

import (
	"context"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
)

// Calls and streams are counted as one, each order once, and what is new is what the table holds.
func TestEachOrderIsCountedByWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	f, registry := newFixture(t), prometheus.NewRegistry()
	s := newServer(over(f.db.Pool), time.Minute, registry, slog.New(slog.DiscardHandler))
	wantCreated(t, registry, 0, 0, 0, 0)

	once, other, wrong, waits := request(), request(), request(), request()
	once.RequestId = proto.String("r-1")
	other.RequestId, other.Items[0].Quantity = once.RequestId, 3
	wrong.Items = nil
	waits.Wait = durationpb.New(time.Second)
	s.unread = semaphore.NewWeighted(0) // nobody may wait
	for _, r := range []*orderv1.CreateOrderRequest{once, once, request(), other, wrong, waits} {
		_, err := s.CreateOrder(t.Context(), r)
		if refused := r == other || r == wrong || r == waits; refused != (err != nil) {
			t.Errorf("%v: got error %v, want one: %t", r, err, refused)
		}
	}
	wantCreated(t, registry, 2, 1, 2, 1)

	client, ended := speak(t, s)
	twice := request()
	twice.RequestId = proto.String("r-2")
	all := []*orderv1.CreateOrderRequest{request(), twice, twice, once, other, wrong}
	for i, r := range all {
		client.say(t, &orderv1.SequencedOrder{Sequence: int64(i), Order: r})
	}
	for n := 0; n < len(all); n += len((<-client.hears).GetEvents()) {
	}
	close(client.says)
	if err := <-ended; err != nil {
		t.Errorf("the stream ended with %v, want nil", err)
	}
	wantCreated(t, registry, 4, 3, 4, 1)
	var rows int
	if err := f.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&rows); err != nil || rows != 4 {
		t.Errorf("got %d orders in the table, error %v; want as many as are new", rows, err)
	}
}

// Nobody waits any more for an order that is refused, or committed: it is counted all the same.
func TestAnOrderWhoseCallerHasGoneIsCounted(t *testing.T) {
	t.Parallel()
	f, registry := newFixture(t), prometheus.NewRegistry()
	c := newCreator(f.store, nil, 1, newMetrics(registry), nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	left, placed := unplaced(), unplaced()
	c.commit([]placing{
		{order: &left, ctx: gone, who: make(caller, 1)},
		{order: &placed, ctx: t.Context(), who: make(caller, 1)},
	})
	wantCreated(t, registry, 1, 0, 0, 1)
}

func wantCreated(t *testing.T, registry prometheus.Gatherer, created, repeated, refused, failed float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "hosho_orders_created_total" {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"new": created, "repeated": repeated, "refused": refused, "failed": failed}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
