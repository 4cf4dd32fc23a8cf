package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/daemon"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

func TestAnOrderIsAcceptedAndReadAgain(t *testing.T) {
	t.Parallel()
	r := start(t)
	got := r.create(t)
	want := &orderv1.Order{
		OrderId: got.GetOrderId(), CustomerId: "alice", Items: request().GetItems(),
		Total:      &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 900},
		Status:     orderv1.Order_STATUS_PENDING,
		CreateTime: got.GetCreateTime(), UpdateTime: got.GetUpdateTime(), DeadlineTime: got.GetDeadlineTime(),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if id, err := uuid.Parse(got.GetOrderId()); err != nil || id.Version() != 7 {
		t.Errorf("got order_id %q, want a UUID of version 7", got.GetOrderId())
	}
	left := got.GetDeadlineTime().AsTime().Sub(got.GetCreateTime().AsTime()).Round(time.Second)
	if left != 15*time.Minute {
		t.Errorf("got a deadline %s after the creation, want 15m", left)
	}
	for _, id := range []string{got.GetOrderId(), strings.ToUpper(got.GetOrderId())} {
		reply, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, reply.GetOrder(), protocmp.Transform()); diff != "" {
			t.Errorf("order %s read again (-created +read):\n%s", id, diff)
		}
	}
}

func TestARepeatedRequestAnswersTheSameOrder(t *testing.T) {
	t.Parallel()
	r := start(t)
	once := request()
	once.RequestId = proto.String("r-1")
	first, err := r.client.CreateOrder(t.Context(), once)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.client.CreateOrder(t.Context(), once)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
		t.Errorf("repeat (-first +second):\n%s", diff)
	}
	if lines, _ := r.logs.lines("order"); len(lines) != 1 {
		t.Errorf("got %d lines about the order in the log, want 1", len(lines))
	}

	other := proto.CloneOf(once)
	other.Items[0].UnitPrice++
	_, err = r.client.CreateOrder(t.Context(), other)
	wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")

	other = proto.CloneOf(once)
	other.CustomerId = "bob"
	third, err := r.client.CreateOrder(t.Context(), other)
	if err != nil || third.GetOrder().GetOrderId() == first.GetOrder().GetOrderId() {
		t.Errorf("another customer: got order %s, error %v; want another order", third.GetOrder().GetOrderId(), err)
	}
}

func TestAnOrderIsCancelledOnceHoweverOftenItIsAsked(t *testing.T) {
	t.Parallel()
	r := start(t)
	pending, completed := r.create(t), r.create(t)
	r.settle(t, completed.GetOrderId(), "PENDING", "COMPLETED")
	for _, o := range []*orderv1.Order{pending, completed} {
		for range 2 {
			reply, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: o.GetOrderId()})
			if err != nil {
				t.Fatal(err)
			}
			want := proto.CloneOf(o)
			want.Status, want.CancelReason = orderv1.Order_STATUS_CANCELLING, orderv1.Order_CANCEL_REASON_CUSTOMER
			want.UpdateTime = reply.GetOrder().GetUpdateTime()
			if diff := cmp.Diff(want, reply.GetOrder(), protocmp.Transform()); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		}
	}
	r.settle(t, pending.GetOrderId(), "CANCELLING", "CANCELLED")
	reply, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: pending.GetOrderId()})
	if err != nil || reply.GetOrder().GetStatus() != orderv1.Order_STATUS_CANCELLED {
		t.Errorf("got %s, error %v; want the cancelled order", reply.GetOrder().GetStatus(), err)
	}
	if got := r.count(t, `SELECT count(*) FROM outbox WHERE kind = 'VOID'`); got != 2 {
		t.Errorf("got %d VOID rows, want one for each order", got)
	}
}

func TestAnOrdersStoryIsInTheLogUnderItsID(t *testing.T) {
	t.Parallel()
	r := start(t)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	created, err := r.client.CreateOrder(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetOrder().GetOrderId()
	for range 2 {
		if _, err := r.client.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
			t.Fatal(err)
		}
	}
	lines, _ := r.logs.lines("order")
	var got []string
	for _, line := range lines {
		got = append(got, fmt.Sprintf("%s %s %s", line["order_id"], line["status"], line["trace_id"]))
	}
	if diff := cmp.Diff([]string{id + " PENDING " + trace, id + " CANCELLING " + trace}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTheTraceOfTheRequestGoesIntoTheOutbox(t *testing.T) {
	t.Parallel()
	r := start(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for sent, want := range map[string]int{trace: 1, "00-no-trace-01": 0} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", sent)
		if _, err := r.client.CreateOrder(ctx, request()); err != nil {
			t.Fatal(err)
		}
		if got := r.count(t, `SELECT count(*) FROM outbox WHERE traceparent = '`+sent+`'`); got != want {
			t.Errorf("traceparent %q: got %d rows, want %d", sent, got, want)
		}
	}
}

func TestRelaysAndWatchersAreWokenAfterACommit(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `LISTEN outbox; LISTEN orders`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	woken := func(about ...string) {
		t.Helper()
		var got []string
		for len(got) < len(about) {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if said := n.Channel + " " + n.Payload; slices.Contains(about, said) { // or a listener's word to itself
				got = append(got, said)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(about, got); diff != "" {
			t.Errorf("wake-ups (-want +got):\n%s", diff)
		}
	}
	id := r.create(t).GetOrderId()
	woken(outbox.Channel + " CHARGE")
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
	woken(orderdb.Channel+" "+id, outbox.Channel+" VOID")
}

func TestWithoutASchemaNothingIsServedAndTheLogSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	r := serveOn(t, db, db.URL)
	if got := r.logs.await(t, "not ready")["error"].String(); !strings.Contains(got, "run `orderd migrate`") {
		t.Errorf("got the reason %q, want one that says what to run", got)
	}
	_, err := r.client.CreateOrder(t.Context(), request())
	wantError(t, err, codes.Unavailable, "NOT_READY")
	if strings.Contains(err.Error(), "schema") {
		t.Errorf("got %q outside, want the reason in the log alone", err)
	}
	health, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got health %s, error %v; want NOT_SERVING", health.GetStatus(), err)
	}

	m := &daemon.Migrate{Database: daemon.Database{DatabaseURL: db.URL}}
	for range 2 { // the second finds nothing to do
		if err := m.Run(t.Context(), slog.New(slog.DiscardHandler), program.Database); err != nil {
			t.Fatal(err)
		}
	}
	r.logs.await(t, "ready")
	r.create(t)
}

func TestServeRefusesWhatItCannotWorkWith(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		serve serve
		want  string
	}{
		"no database": {serve{OrderDeadline: time.Minute}, "--database-url"},
		"no URL": {
			serve{OrderDeadline: time.Minute, Database: daemon.Database{DatabaseURL: "::"}}, "database URL",
		},
		"no such file": {
			serve{OrderDeadline: time.Minute, Database: daemon.Database{DatabaseURLFile: "/nowhere/url"}},
			"/nowhere/url",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.serve.Run(t.Context(), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one about %s", err, test.want)
			}
		})
	}
}

// A deadline that no relay could meet would cancel every order.
func TestDeadlinesThatNobodyMeansAreRefused(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, program.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	for deadline, want := range map[string]string{
		"1ns": "--order-deadline: got 1ns, want 100ms to 720h", "0s": "got 0s, want", "-15m": "got -15m0s, want",
		"9000h": "got 9000h0m0s, want", "9999999h": "invalid duration", "15": "missing unit", "": "invalid duration",
		"100ms": "", "720h": "",
	} {
		_, err := parser.Parse([]string{"--order-deadline=" + deadline})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", deadline, err, want)
		}
	}
}

func TestWhatNobodyExpectedIsInternalOutsideAndToldInTheLog(t *testing.T) {
	t.Parallel()
	r := start(t)
	const secret = `ALTER TABLE orders ADD CONSTRAINT secret CHECK (false) NOT VALID`
	if _, err := r.db.Pool.Exec(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	_, err := r.client.CreateOrder(t.Context(), request())
	wantError(t, err, codes.Internal, "INTERNAL")
	if got, want := err.Error(), "rpc error: code = Internal desc = internal"; got != want {
		t.Errorf("got %q outside, want %q", got, want)
	}
	lines, _ := r.logs.lines("rpc")
	if len(lines) != 1 || !strings.Contains(lines[0]["error"].String(), `constraint "secret"`) {
		t.Errorf("got %d lines %v in the log, want one that says why", len(lines), lines)
	}
}
