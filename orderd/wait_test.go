package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/order"
	"hosho/internal/wait"
)

// answer is what came of a call.
type answer struct {
	order *orderv1.Order
	err   error
}

// createAndWait begins to place an order and to wait for its end, and returns its id once it is committed, and what its
// answer comes in.
func (r *running) createAndWait(t *testing.T, request *orderv1.CreateOrderRequest) (id string, answered <-chan answer) {
	t.Helper()
	request.Wait = durationpb.New(maxWait)
	before := r.count(t, `SELECT count(*) FROM orders`)
	result := make(chan answer, 1)
	go func() {
		reply, err := r.client.CreateOrder(t.Context(), request)
		result <- answer{reply.GetOrder(), err}
	}()
	r.await(t, before+1)
	err := r.db.Pool.QueryRow(t.Context(), `SELECT id::text FROM orders ORDER BY id DESC LIMIT 1`).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id, result
}

// await waits until there are so many orders.
func (r *running) await(t *testing.T, orders int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for r.count(t, `SELECT count(*) FROM orders`) < orders {
		if !wait.For(ctx, time.Millisecond) {
			t.Fatalf("waited in vain for %d orders", orders)
		}
	}
}

func wantOrder(t *testing.T, got answer, id string, status orderv1.Order_Status) {
	t.Helper()
	o := got.order
	if got.err != nil || o.GetOrderId() != id || o.GetStatus() != status || len(o.GetItems()) != 1 {
		t.Errorf("got %v, error %v; want order %s, %s", got.order, got.err, id, status)
	}
}

func TestAWaitEndsWhenTheOrderIsSettled(t *testing.T) {
	t.Parallel()
	r := start(t)
	wanted := request()
	wanted.RequestId = proto.String("one")
	id, answered := r.createAndWait(t, wanted)
	again := make(chan answer, 1)
	go func() { // the same request, made while the order is under way, waits as well
		reply, err := r.client.CreateOrder(t.Context(), wanted)
		again <- answer{reply.GetOrder(), err}
	}()
	r.settle(t, id, "PENDING", "COMPLETED")
	r.wake(t)
	wantOrder(t, receive(t, "the answer", answered), id, orderv1.Order_STATUS_COMPLETED)
	wantOrder(t, receive(t, "the answer to the repeat", again), id, orderv1.Order_STATUS_COMPLETED)

	// A repeat need not wait, and the wait is no field of the order.
	reply, err := r.client.CreateOrder(t.Context(), wanted)
	wantOrder(t, answer{reply.GetOrder(), err}, id, orderv1.Order_STATUS_COMPLETED)
	wanted.Wait = nil
	reply, err = r.client.CreateOrder(t.Context(), wanted)
	wantOrder(t, answer{reply.GetOrder(), err}, id, orderv1.Order_STATUS_COMPLETED)
}

// A cancel is no end: the order is settled when its void is answered.
func TestAWaitGoesOnWhileTheOrderIsCancelled(t *testing.T) {
	t.Parallel()
	r := start(t)
	id, answered := r.createAndWait(t, request())
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
	r.settle(t, id, "CANCELLING", "CANCELLED")
	r.wake(t)
	got := receive(t, "the answer", answered)
	wantOrder(t, got, id, orderv1.Order_STATUS_CANCELLED)
	if got.order.GetCancelReason() != orderv1.Order_CANCEL_REASON_CUSTOMER {
		t.Errorf("got %v, want the reason", got.order)
	}
}

func TestAWaitThatIsOverIsAnsweredWithTheOrderAsItIs(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, wait := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond} {
		wanted := request()
		wanted.Wait = durationpb.New(wait)
		reply, err := r.client.CreateOrder(t.Context(), wanted)
		wantOrder(t, answer{reply.GetOrder(), err}, reply.GetOrder().GetOrderId(), orderv1.Order_STATUS_PENDING)
	}
}

func TestAServerThatStopsAnswersThoseWhoWait(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []string
	var answers []<-chan answer
	for range 5 {
		id, answered := r.createAndWait(t, request())
		ids, answers = append(ids, id), append(answers, answered)
	}
	r.stop()
	for i, answered := range answers {
		wantOrder(t, receive(t, "the answer", answered), ids[i], orderv1.Order_STATUS_PENDING)
	}
}

// The caller's deadline comes before the end of the wait: he is answered in time to hear it, with what was heard last.
func TestAWaitEndsBeforeTheCallersDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil, slog.New(slog.DiscardHandler))
		e := &expectation{hub: h, alarms: newAlarms(), news: newLatest(), id: "1", wait: 8 * time.Second}
		h.expect(e.id, e.news)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		e.news.heard(news{order: order.Order{ID: e.id, Status: order.Cancelling}})
		got := e.await(ctx, order.Order{ID: e.id, Status: order.Pending, Currency: "JPY"})
		took, most := time.Since(began), 5*time.Second-answerAhead
		if took > most || took < most-moment {
			t.Errorf("answered after %v, want %v", took, most)
		}
		if got.Status != order.Cancelling || got.Currency != "JPY" {
			t.Errorf("got %+v, want it %s", got, order.Cancelling)
		}
		for range 100 { // they share alarms
			go e.await(t.Context(), order.Order{ID: e.id, Status: order.Pending})
		}
		synctest.Wait()
		if n := e.alarms.count(); n != 1 {
			t.Errorf("got %d alarms, want 1", n)
		}
		<-time.After(8 * time.Second)
		synctest.Wait()
		if n := e.alarms.count(); n != 0 {
			t.Errorf("got %d alarms when they have rung, want none", n)
		}
	})
}

func (a *alarms) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.set)
}

// Calls that wait are at no work: an order is placed while more wait than orders are placed at a time.
func TestCallsThatWaitKeepNobodyFromPlacingOrders(t *testing.T) {
	t.Parallel()
	r := start(t)
	const waiting = 20
	for range waiting {
		r.createAndWait(t, request())
	}
	r.create(t)
}

// One may wait or watch, or as many as hold ten bytes. Another one is refused before anything is written.
func TestOneTooManyWaitsForNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	crowded, full := f.server(t), f.server(t)
	crowded.lanes.watchers = admission.NewLane("watchers", 1)
	taken, _, _ := watching(t, crowded, f.place(t).ID)
	receive(t, "the present state", taken)
	full.unread = semaphore.NewWeighted(10)
	wanted := request()
	wanted.Wait = durationpb.New(time.Millisecond)
	for _, s := range []*server{crowded, full} {
		reply, err := s.CreateOrder(t.Context(), wanted)
		if err == nil {
			t.Fatalf("got %v, want it refused", reply)
		}
		wantOverloaded(t, toStatus(err))
	}
	var n int
	if err := f.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d orders, error %v; want 1", n, err)
	}
	if n := full.hub.count(); n != 0 {
		t.Errorf("got %d orders watched, want none", n)
	}
}

// JSON can say no wait that is none, and no part of a second that has another sign.
func TestAWaitHasBounds(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	for _, test := range []struct {
		wait *durationpb.Duration
		json string
		said bool
	}{
		{durationpb.New(-1), "-0.000000001s", true},
		{durationpb.New(maxWait + 1), "9.000000001s", true},
		{&durationpb.Duration{Seconds: 1 << 62}, "4611686018427387904s", false},
		{&durationpb.Duration{Seconds: 1, Nanos: -1}, "1.-1s", false},
		{&durationpb.Duration{Nanos: 1e9}, "0.1000000000s", false},
	} {
		wanted := request()
		wanted.Wait, wanted.CustomerId = test.wait, ""
		_, err := r.client.CreateOrder(t.Context(), wanted)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS", "wait", "customer_id")
		wanted.Wait = nil
		body := jsonOf(t, protojson.MarshalOptions{}, wanted)
		for _, twin := range []answered{
			r.send(t, "POST", "/v1/orders?wait="+test.json, body),
			r.send(t, "POST", "/v1/orders", strings.Replace(body, "{", `{"wait": "`+test.json+`", `, 1)),
		} {
			if test.said {
				wantTwin(t, err, twin)
			} else {
				wantStatus(t, twin, http.StatusBadRequest, "MALFORMED_REQUEST", test.json)
			}
		}
	}
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 0 {
		t.Errorf("got %d orders, want none", n)
	}
}
