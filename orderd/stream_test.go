package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/wait"
)

// talk is a stream of orders, as its client sees it.
type talk struct {
	grpc.BidiStreamingClient[orderv1.CreateOrdersRequest, orderv1.CreateOrdersResponse]
	t      *testing.T
	events []*orderv1.OrderEvent // that came and were not asked for yet
}

// open opens a stream of orders.
func (r *running) open(t *testing.T, ctx context.Context) *talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, longWait)
	t.Cleanup(cancel)
	opened, err := r.client.CreateOrders(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &talk{BidiStreamingClient: opened, t: t}
}

func (k *talk) send(orders ...*orderv1.SequencedOrder) {
	k.t.Helper()
	err := k.Send(&orderv1.CreateOrdersRequest{Orders: orders})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the end says why
		k.t.Fatal(err)
	}
}

// next returns the next event.
func (k *talk) next() *orderv1.OrderEvent {
	k.t.Helper()
	for len(k.events) == 0 {
		reply, err := k.Recv()
		if err != nil {
			k.t.Fatalf("the stream ended with %v", err)
		}
		if len(reply.GetEvents()) == 0 {
			k.t.Error("got a message without an event")
		}
		k.events = reply.GetEvents()
	}
	event := k.events[0]
	k.events = k.events[1:]
	return event
}

// take returns the next events by their sequence; each has another one.
func (k *talk) take(n int) map[int64]*orderv1.OrderEvent {
	k.t.Helper()
	all := map[int64]*orderv1.OrderEvent{}
	for len(all) < n {
		event := k.next()
		if all[event.GetSequence()] != nil {
			k.t.Errorf("got a second event %v, want one each", event)
		}
		all[event.GetSequence()] = event
	}
	return all
}

// end returns how the stream ends, of which nothing else was to come.
func (k *talk) end() error {
	k.t.Helper()
	reply, err := k.Recv()
	if err == nil || len(k.events) > 0 {
		k.t.Errorf("got %v and %v, want the end of the stream", k.events, reply)
	}
	return err
}

func (k *talk) closeSend() {
	k.t.Helper()
	if err := k.CloseSend(); err != nil {
		k.t.Fatal(err)
	}
}

// sequence is a valid order with a sequence.
func sequence(n int64) *orderv1.SequencedOrder {
	return &orderv1.SequencedOrder{Sequence: n, Order: request()}
}

// asking is one whose end is asked for.
func asking(n int64) *orderv1.SequencedOrder {
	return &orderv1.SequencedOrder{Sequence: n, Order: request(), TellSettled: true}
}

// identified is one with a request_id.
func identified(n int64, id string) *orderv1.SequencedOrder {
	s := asking(n)
	s.Order.RequestId = proto.String(id)
	return s
}

func wantSettled(t *testing.T, event *orderv1.OrderEvent, n int64, id string, status orderv1.Order_Status) {
	t.Helper()
	got := event.GetSettled()
	if event.GetSequence() != n || got.GetOrderId() != id || got.GetStatus() != status || got.GetUpdateTime() == nil {
		t.Errorf("got %v, want %d: order %s is %s", event, n, id, status)
	}
}

func wantRefused(t *testing.T, event *orderv1.OrderEvent, code codes.Code, reason string, fields ...string) {
	t.Helper()
	got := event.GetRefused()
	var violations []string
	for _, v := range got.GetFieldViolations() {
		violations = append(violations, v.GetField())
	}
	if codes.Code(got.GetCode()) != code || got.GetReason() != reason || !slices.Equal(violations, fields) {
		t.Errorf("got %v, want %s, %s of %q", event, code, reason, fields)
	}
}

func TestEveryOrderOfAStreamIsAcknowledgedAfterItsCommit(t *testing.T) {
	t.Parallel()
	r := start(t)
	k := r.open(t, t.Context())
	const requests, each = 4, 50
	for n := range requests {
		var orders []*orderv1.SequencedOrder
		for i := range each {
			orders = append(orders, sequence(int64(n*each+i)))
		}
		k.send(orders...)
	}
	ids := map[string]bool{}
	for n, event := range k.take(requests * each) {
		o := event.GetAcknowledged()
		if o.GetStatus() != orderv1.Order_STATUS_PENDING || o.GetTotal().GetAmountMinor() != 900 {
			t.Errorf("%d: got %v, want the order", n, event)
		}
		if _, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: o.GetOrderId()}); err != nil {
			t.Errorf("%d was acknowledged: %v", n, err)
		}
		ids[o.GetOrderId()] = true
	}
	if len(ids) != requests*each || r.count(t, `SELECT count(*) FROM outbox WHERE kind = 'CHARGE'`) != requests*each {
		t.Errorf("got %d orders, want %d and their commands", len(ids), requests*each)
	}
	k.closeSend()
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

// One is asked for and settled, one is settled and not asked for. The client sends no more, and is told of the first
// one, whose end comes later, before the stream ends.
func TestAStreamTellsTheEndsThatWereAskedFor(t *testing.T) {
	t.Parallel()
	r := start(t)
	k := r.open(t, t.Context())
	k.send(asking(-7), sequence(8))
	events := k.take(2)
	asked, other := events[-7].GetAcknowledged().GetOrderId(), events[8].GetAcknowledged().GetOrderId()
	k.closeSend()
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: asked}); err != nil {
		t.Fatal(err)
	}
	r.settle(t, other, "PENDING", "COMPLETED")
	r.settle(t, asked, "CANCELLING", "CANCELLED")
	r.wake(t)
	event := k.next()
	wantSettled(t, event, -7, asked, orderv1.Order_STATUS_CANCELLED)
	if got := event.GetSettled().GetCancelReason(); got != orderv1.Order_CANCEL_REASON_CUSTOMER {
		t.Errorf("got the reason %s, want the customer's", got)
	}
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

// A repeat answers the order that there is: one under way, whose end is told to both; and then one that has ended.
func TestARepeatOverAStreamIsTheSameOrder(t *testing.T) {
	t.Parallel()
	r := start(t)
	k := r.open(t, t.Context())
	k.send(identified(1, "one"))
	id := k.next().GetAcknowledged().GetOrderId()
	k.send(identified(2, "one"), identified(3, "two"))
	events := k.take(2)
	if got := events[2].GetAcknowledged().GetOrderId(); got != id || events[3].GetAcknowledged().GetOrderId() == id {
		t.Errorf("got %v, want %s again and another one", events, id)
	}
	r.settle(t, id, "PENDING", "COMPLETED")
	r.wake(t)
	ends := k.take(2)
	wantSettled(t, ends[1], 1, id, orderv1.Order_STATUS_COMPLETED)
	wantSettled(t, ends[2], 2, id, orderv1.Order_STATUS_COMPLETED)

	k.send(identified(4, "one"))
	if o := k.next().GetAcknowledged(); o.GetOrderId() != id || o.GetStatus() != orderv1.Order_STATUS_COMPLETED {
		t.Errorf("got %v, want %s as it is now", o, id)
	}
	wantSettled(t, k.next(), 4, id, orderv1.Order_STATUS_COMPLETED)

	reused := identified(5, "one")
	reused.Order.CurrencyCode = "EUR"
	k.send(reused)
	wantRefused(t, k.next(), codes.AlreadyExists, "REQUEST_ID_REUSED")
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 2 {
		t.Errorf("got %d orders, want 2", n)
	}
}

func TestABadOrderOfAStreamIsRefusedAlone(t *testing.T) {
	t.Parallel()
	r := start(t)
	k := r.open(t, t.Context())
	bad, waits := asking(2), asking(4)
	bad.Order.CustomerId, bad.Order.Items[0].Quantity = "", 0
	waits.Order.Wait = durationpb.New(1)
	k.send(sequence(1), bad, &orderv1.SequencedOrder{Sequence: 3}, waits, sequence(5))
	events := k.take(5)
	for _, n := range []int64{1, 5} {
		if events[n].GetAcknowledged() == nil {
			t.Errorf("%d: got %v, want it acknowledged", n, events[n])
		}
	}
	wantRefused(t, events[2], codes.InvalidArgument, "INVALID_FIELDS", "customer_id", "items[0].quantity")
	wantRefused(t, events[3], codes.InvalidArgument, "INVALID_FIELDS", "customer_id", "currency_code", "items")
	wantRefused(t, events[4], codes.InvalidArgument, "INVALID_FIELDS", "wait")
	k.closeSend() // what is refused is settled
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

// What was read before the request that is none is acknowledged.
func TestABadRequestEndsTheStream(t *testing.T) {
	t.Parallel()
	r := start(t)
	var many []*orderv1.SequencedOrder
	for n := range maxOrders + 1 {
		many = append(many, sequence(int64(n)))
	}
	noOrder := &orderv1.CreateOrdersRequest{}
	noOrder.ProtoReflect().SetUnknown([]byte{1<<3 | 2, 1, 0xff}) // an order of one byte that is no order
	for name, bad := range map[string]*orderv1.CreateOrdersRequest{
		"none": {}, "too many": {Orders: many}, "no order": noOrder,
	} {
		k := r.open(t, t.Context())
		k.send(asking(1))
		if err := k.Send(bad); err != nil {
			t.Fatal(err)
		}
		if event := k.next(); event.GetAcknowledged() == nil {
			t.Errorf("%s: got %v, want the first order acknowledged", name, event)
		}
		wantError(t, k.end(), codes.InvalidArgument, "INVALID_FIELDS", "orders")
	}
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 3 {
		t.Errorf("got %d orders, want 3", n)
	}
}

// standing opens a stream whose orders are being placed, and stand.
func (r *running) standing(t *testing.T, ctx context.Context, orders int64) *talk {
	t.Helper()
	k := r.open(t, ctx)
	for n := range orders {
		k.send(asking(n))
	}
	const standing = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
	for r.count(t, standing) == 0 {
		if !wait.For(t.Context(), 1) {
			t.Fatal("no order is being placed")
		}
	}
	return k
}

// notServing waits until the server says that it stops.
func (r *running) notServing(t *testing.T) {
	t.Helper()
	for {
		health, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
}

// The server is told to stop while an order's commit is under way, and the client goes on sending. Each order that is
// there in the end was acknowledged, and no other.
func TestAServerThatStopsLosesNoAcknowledgement(t *testing.T) {
	t.Parallel()
	r := start(t)
	letGo := r.stand(t)
	k := r.standing(t, t.Context(), 1)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	r.notServing(t)
	k.send(asking(1))
	letGo()
	acknowledged := map[string]bool{}
	for {
		reply, err := k.Recv()
		if err != nil {
			wantError(t, err, codes.Unavailable, "STOPPING")
			break
		}
		for _, event := range reply.GetEvents() {
			acknowledged[event.GetAcknowledged().GetOrderId()] = true
		}
	}
	receive(t, "the server stops", stopped)
	if n := r.count(t, `SELECT count(*) FROM orders`); n != len(acknowledged) || n == 0 {
		t.Errorf("got %d orders, want %d, those that were acknowledged", n, len(acknowledged))
	}
}

// The client goes away while its order is being placed. The order is placed.
func TestAClientThatGoesEndsItsEventsAndNoOrder(t *testing.T) {
	t.Parallel()
	r := start(t)
	letGo := r.stand(t)
	ctx, cancel := context.WithCancel(t.Context())
	k := r.standing(t, ctx, 1)
	cancel()
	if _, err := k.Recv(); err == nil {
		t.Error("got an event after the client has gone")
	}
	letGo()
	r.await(t, 1)
}

func TestAConnectionHasAFewStreamsOfOrders(t *testing.T) {
	t.Parallel()
	r := start(t)
	var last *talk
	for n := range maxStreamsEach {
		last = r.open(t, t.Context())
		last.send(sequence(int64(n)))
		last.next()
	}
	k := r.open(t, t.Context())
	wantOverloaded(t, k.end())
	last.closeSend()
	if err := last.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	for in := false; !in; { // until that one is gone
		k := r.open(t, t.Context())
		k.send(sequence(1))
		_, err := k.Recv()
		in = err == nil
		if !in {
			wantOverloaded(t, err)
		}
	}
}

func TestManyStreamsShareTheRoom(t *testing.T) {
	t.Parallel()
	room := newRoom()
	for n := range maxStreams {
		if _, err := room.streams.Open(from(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := room.streams.Open(from("another")); err == nil {
		t.Error("got in, want it refused")
	}
}
