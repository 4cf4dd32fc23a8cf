package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/authority"
	"hosho/internal/daemon"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
)

// secured is an orderd that wants certificates, and a client for each identity.
type secured struct {
	*running

	as    map[string]orderv1.OrderServiceClient
	conns map[string]*grpc.ClientConn
}

func tlsOf(folder string) daemon.TLS {
	return daemon.TLS{
		Cert: filepath.Join(folder, authority.CertFile), Key: filepath.Join(folder, authority.KeyFile),
		CA: filepath.Join(folder, authority.CAFile),
	}
}

// startSecured is start with a policy.
func startSecured(t *testing.T, policy string, names ...string) *secured {
	t.Helper()
	folder := t.TempDir()
	if _, err := authority.Fill(folder, append(names, "orderd"), []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "policy")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	db := pgtest.Orders(t)
	s := &secured{as: map[string]orderv1.OrderServiceClient{}, conns: map[string]*grpc.ClientConn{}}
	s.running = serveOn(t, db, db.As(t, orderdb.OrderdNeeds()).URL, func(c *serve) {
		c.Security = daemon.Security{TLS: tlsOf(filepath.Join(folder, "orderd")), Allow: file}
	})
	s.logs.await(t, "ready")
	for _, name := range names {
		certificate, err := tlsOf(filepath.Join(folder, name)).Open(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := rpc.Dial(s.conn.Target(), rpc.As(certificate, authority.ID("orderd")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s.as[name], s.conns[name] = orderv1.NewOrderServiceClient(conn), conn
	}
	return s
}

const (
	allMethods = "order.v1.OrderService/CreateOrder,order.v1.OrderService/CreateOrders," +
		"order.v1.OrderService/GetOrder,order.v1.OrderService/ListOrders," +
		"order.v1.OrderService/CancelOrder,order.v1.OrderService/WatchOrder"
	listsAll = "order.v1.OrderService/ListOrders:all"
)

// orderOf is a valid order of a customer.
func orderOf(customer string) *orderv1.CreateOrderRequest {
	r := request()
	r.CustomerId = customer
	return r
}

// Whose orders are accepted and given up is in the log, in calls and streams alike.
func TestTheLineOfAnOrderTellsWhoAsked(t *testing.T) {
	t.Parallel()
	s := startSecured(t, authority.ID("shop")+" "+allMethods+" *\n", "shop")
	reply, err := s.as["shop"].CreateOrder(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	called := reply.GetOrder().GetOrderId()
	_, err = s.as["shop"].CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: called})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := s.as["shop"].CreateOrders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := &orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{{Sequence: 1, Order: request()}}}
	if err := errors.Join(stream.Send(sent), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	told, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	streamed := told.GetEvents()[0].GetAcknowledged().GetOrderId()
	var got []string
	lines, _ := s.logs.lines("order")
	for _, line := range lines {
		got = append(got, fmt.Sprintf("%s %s %s", line["order_id"], line["status"], line["identity"]))
	}
	by := " " + authority.ID("shop")
	want := []string{called + " PENDING" + by, called + " CANCELLING" + by, streamed + " PENDING" + by}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A shop has customers, and to it there are no orders but theirs: a stranger's is NOT_FOUND, whatever is asked about
// it. shop1 is no beginning of shop10.
func TestAShopHasNoOrdersButItsCustomers(t *testing.T) {
	t.Parallel()
	s := startSecured(t, authority.ID("shop1")+" "+allMethods+" shop1:,ada\n"+
		authority.ID("shop10")+" "+allMethods+","+listsAll+" shop10:\n"+
		authority.ID("operator")+" "+allMethods+","+listsAll+" *\n", "shop1", "shop10", "operator", "stranger")
	ctx := t.Context()
	own := map[string]string{}
	for name, customer := range map[string]string{"shop1": "shop1:eve", "shop10": "shop10:eve", "operator": "bob"} {
		reply, err := s.as[name].CreateOrder(ctx, orderOf(customer))
		if err != nil {
			t.Fatal(err)
		}
		own[name] = reply.GetOrder().GetOrderId()
		for _, other := range []string{"shop10", "shop10:ada", "shop1", "carol", "ada1"} {
			_, err := s.as["shop1"].CreateOrder(ctx, orderOf(other))
			wantError(t, err, codes.PermissionDenied, "NOT_ALLOWED")
		}
	}
	if n := s.count(t, `SELECT count(*) FROM orders`); n != len(own) {
		t.Errorf("got %d orders, want %d", n, len(own))
	}
	eve, evil := "shop1:eve", "shop1:evil"
	for _, tt := range []struct {
		who, order string
		named      *string
		want       codes.Code
	}{
		{"shop1", own["shop1"], nil, codes.OK},
		{"shop1", own["shop1"], &eve, codes.OK},
		{"shop1", own["shop1"], &evil, codes.NotFound},
		{"shop1", own["shop10"], nil, codes.NotFound},
		{"shop1", own["shop10"], new("shop10:eve"), codes.PermissionDenied},
		{"shop1", own["operator"], nil, codes.NotFound},
		{"shop10", own["shop1"], nil, codes.NotFound},
		{"operator", own["shop1"], nil, codes.OK},
		{"operator", own["shop1"], &eve, codes.OK},
		{"operator", own["shop1"], new("bob"), codes.NotFound},
		{"operator", own["shop1"], new("no id"), codes.InvalidArgument},
		{"stranger", own["shop1"], nil, codes.PermissionDenied},
	} {
		client := s.as[tt.who]
		_, get := client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: tt.order, CustomerId: tt.named})
		stream, watch := client.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: tt.order, CustomerId: tt.named})
		if watch == nil {
			_, watch = stream.Recv()
		}
		_, cancel := client.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: tt.order, CustomerId: tt.named})
		for what, err := range map[string]error{"get": get, "watch": watch, "cancel": cancel} {
			if status.Code(err) != tt.want {
				t.Errorf("%s, %+v: got %v, want %s", what, tt, err, tt.want)
			}
		}
	}
}

// Who may list everybody's orders says so with a permission of its own, and sees those that he may name.
func TestAListHasNoOrdersOfStrangers(t *testing.T) {
	t.Parallel()
	s := startSecured(t, authority.ID("shop1")+" "+allMethods+" shop1:\n"+
		authority.ID("reader")+" "+listsAll+" shop1:,bob\n"+
		authority.ID("operator")+" "+allMethods+","+listsAll+" *\n", "shop1", "reader", "operator")
	for _, customer := range []string{"shop1:eve", "bob", "carol", "shop10:eve"} {
		if _, err := s.as["operator"].CreateOrder(t.Context(), orderOf(customer)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		who, customer string
		found         int
		want          codes.Code
	}{
		{"operator", "", 4, codes.OK},
		{"operator", "carol", 1, codes.OK},
		{"reader", "", 2, codes.OK},
		{"reader", "bob", 1, codes.OK},
		{"reader", "carol", 0, codes.PermissionDenied},
		{"shop1", "", 0, codes.PermissionDenied},
		{"shop1", "shop1:eve", 1, codes.OK},
		{"shop1", "shop10:eve", 0, codes.PermissionDenied},
	} {
		for _, of := range []orderv1.Order_Status{orderv1.Order_STATUS_UNSPECIFIED, orderv1.Order_STATUS_PENDING} {
			asked := &orderv1.ListOrdersRequest{CustomerId: tt.customer, Status: of}
			reply, err := s.as[tt.who].ListOrders(t.Context(), asked)
			if status.Code(err) != tt.want || len(reply.GetOrders()) != tt.found {
				t.Errorf("%+v, %s: got %d orders, error %v", tt, of, len(reply.GetOrders()), err)
			}
		}
	}
}

// One order of a stream is of a customer whom the shop may not name. It is refused alone.
func TestAStreamsOrderForAStrangerIsRefusedAlone(t *testing.T) {
	t.Parallel()
	s := startSecured(t, authority.ID("shop1")+" "+allMethods+" shop1:\n", "shop1")
	stream, err := s.as["shop1"].CreateOrders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{
		{Sequence: 1, Order: orderOf("shop1:eve")}, {Sequence: 2, Order: orderOf("carol")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	got := map[int64]*orderv1.OrderEvent{}
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range reply.GetEvents() {
			got[e.GetSequence()] = e
		}
	}
	if got[1].GetAcknowledged().GetCustomerId() != "shop1:eve" || got[2].GetRefused().GetReason() != "NOT_ALLOWED" {
		t.Errorf("got %v, want the first acknowledged and the second refused", got)
	}
}

// Events are of everybody's orders. A caller whose customers are some is not told of them, whatever else it may do.
func TestEventsAreForWhoeverMaySeeEverybodysOrders(t *testing.T) {
	t.Parallel()
	const watches = "event.v1.EventService/WatchEvents"
	line := func(name, methods, customers string) string {
		return authority.ID(name) + " " + methods + " " + customers + "\n"
	}
	s := startSecured(t, line("shop", allMethods+","+watches, "shop1:")+line("reader", watches, "*")+
		line("operator", allMethods, "*"), "shop", "reader", "operator")
	for name, want := range map[string]codes.Code{
		"shop": codes.PermissionDenied, "operator": codes.PermissionDenied, "reader": codes.OK,
	} {
		events := eventv1.NewEventServiceClient(s.conns[name])
		stream, err := events.WatchEvents(t.Context(), &eventv1.WatchEventsRequest{Kept: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = stream.Recv(); status.Code(err) != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		} else if want != codes.OK && rpc.Reason(err) != "NOT_ALLOWED" {
			t.Errorf("%s: got %v, want NOT_ALLOWED", name, err)
		}
	}
}
