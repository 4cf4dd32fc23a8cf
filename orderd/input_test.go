package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
)

const most = 99_999_999_999

func item(name string, quantity int32, unitPrice int64) *orderv1.Item {
	return &orderv1.Item{Name: name, Quantity: quantity, UnitPrice: unitPrice}
}

func items(n int) []*orderv1.Item {
	all := make([]*orderv1.Item, n)
	for i := range all {
		all[i] = item("tea", 1, 1)
	}
	return all
}

// Every input comes as JSON as well (twin_test.go).
func TestCreateOrderRefusesWhatBreaksARule(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	type create = orderv1.CreateOrderRequest
	type bad struct {
		change func(*create)
		fields []string
	}
	tests := map[string]bad{
		"empty":          {func(c *create) { proto.Reset(c) }, []string{"customer_id", "currency_code", "items"}},
		"no customer_id": {func(c *create) { c.CustomerId = "" }, []string{"customer_id"}},
		"no items":       {func(c *create) { c.Items = nil }, []string{"items"}},
		"101 items":      {func(c *create) { c.Items = items(101) }, []string{"items"}},
		"30,000 bad items": {
			func(c *create) { c.Items = make([]*orderv1.Item, 30_000) }, []string{"items"}, // and an answer that fits
		},
		"an empty item": {
			func(c *create) { c.Items = append(items(3), &orderv1.Item{}) },
			[]string{"items[3].name", "items[3].quantity", "items[3].unit_price"},
		},
		"everything at once": {
			func(c *create) {
				c.CustomerId, c.CurrencyCode, c.RequestId = "a b", "yen", proto.String("")
				c.Items = []*orderv1.Item{item("", 1, 1), item("tea", 0, 1), item("tea", 1, 0)}
			},
			[]string{
				"customer_id", "currency_code", "request_id", "items[0].name", "items[1].quantity",
				"items[2].unit_price",
			},
		},
	}
	for _, price := range []int64{0, -1, math.MinInt64, most + 1, math.MaxInt64} {
		fields := []string{"items[0].unit_price"}
		if price > 0 {
			fields = append(fields, "items") // the sum is too much as well
		}
		tests[fmt.Sprintf("unit_price %d", price)] = bad{func(c *create) {
			c.Items = []*orderv1.Item{item("tea", 1, price)}
		}, fields}
	}
	sums := map[string][]*orderv1.Item{
		"a product over the maximum": {item("tea", 2, most/2+1)},
		"a product that overflows":   {item("tea", math.MaxInt32, most)},
		"a product that wraps to 0":  {item("tea", 1<<30, 1<<34)},
		"a sum over the maximum":     {item("tea", 1, most), item("cup", 1, 1)},
	}
	for name, list := range sums {
		tests[name] = bad{func(c *create) { c.Items = list }, []string{"items"}}
	}
	one := func(field string, set func(*create, string), values ...string) {
		for _, value := range values {
			tests[fmt.Sprintf("%s %.40q", field, value)] = bad{func(c *create) { set(c, value) }, []string{field}}
		}
	}
	for _, quantity := range []int32{0, -1, math.MinInt32} {
		tests[fmt.Sprintf("quantity %d", quantity)] = bad{
			func(c *create) { c.Items[0].Quantity = quantity }, []string{"items[0].quantity"},
		}
	}
	one("currency_code", func(c *create, s string) { c.CurrencyCode = s }, "", "jpy", "JP", "JPYY", "ZZZ", "€€€")
	one("request_id", func(c *create, s string) { c.RequestId = &s }, "", strings.Repeat("r", 65), "r\x00", "r 1", "é")
	one("customer_id", func(c *create, s string) { c.CustomerId = s },
		"alice\r\n", "\x1b[31malice", "al\u202eice", "al\u200bice", "\ufeffalice", strings.Repeat("a", 65), "alice/bob")
	one("items[0].name", func(c *create, s string) { c.Items[0].Name = s },
		"", strings.Repeat("a", 201), strings.Repeat("é", 201), strings.Repeat("茶", 134), "tea\x00", "tea\ncups",
		"\x1b[2Jtea",
		"tea\u0085", "tea\x7f")

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := request()
			test.change(c)
			_, err := r.client.CreateOrder(t.Context(), c)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS", test.fields...)
			instead := 0
			if len(c.GetItems()) > 20_000 { // which are 60 kB, and more as JSON
				instead = http.StatusRequestEntityTooLarge
			}
			r.refusesTwin(t, err, c, instead)
		})
	}
	t.Cleanup(func() {
		if lines, _ := r.logs.lines("order"); len(lines) != 0 {
			t.Errorf("got %d orders made of bad requests", len(lines))
		}
	})
}

func TestCreateOrderAcceptsWhatIsAtTheLimit(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	longest := strings.Repeat("a", 200)
	tests := map[string]func(*orderv1.CreateOrderRequest){
		"amount 1":    func(c *orderv1.CreateOrderRequest) { c.Items = items(1) },
		"the maximum": func(c *orderv1.CreateOrderRequest) { c.Items[0] = item("tea", 1, most) },
		"the maximum, in parts": func(c *orderv1.CreateOrderRequest) {
			c.Items = []*orderv1.Item{item("a", 1, 1), item("b", 1, most-1)}
		},
		"the largest quantity": func(c *orderv1.CreateOrderRequest) { c.Items[0] = item("tea", math.MaxInt32, 46) },
		"100 items":            func(c *orderv1.CreateOrderRequest) { c.Items = items(100) },
		"the longest ids": func(c *orderv1.CreateOrderRequest) {
			c.CustomerId, c.RequestId = strings.Repeat("c", 64), proto.String("A-Z._:"+strings.Repeat("9", 58))
		},
		"100 of the longest names": func(c *orderv1.CreateOrderRequest) {
			c.Items = items(100)
			for _, item := range c.GetItems() {
				item.Name = strings.Repeat("é", 200) // 400 bytes
			}
		},
		"200 characters":        func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = longest },
		"133 characters of CJK": func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = strings.Repeat("茶", 133) },
		"NFC":                   func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = "caf\u00e9" },
		"NFD":                   func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = "cafe\u0301" },
		"emoji": func(c *orderv1.CreateOrderRequest) {
			c.Items[0].Name = "👩\u200d👩\u200d👧\u200d👦 🍵"
		},
		"right to left": func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = "\u200fשלום עולם" },
		"what JSON and SQL mind": func(c *orderv1.CreateOrderRequest) {
			c.Items[0].Name = `'; DROP TABLE orders; -- "\u0000" <&> \`
		},
		"line separators": func(c *orderv1.CreateOrderRequest) { c.Items[0].Name = "a\u2028b\u2029c\ufffd" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := request()
			c.RequestId = proto.String(uuid.NewString())
			change(c)
			made, err := r.client.CreateOrder(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: made.GetOrder().GetOrderId()})
			if err != nil {
				t.Fatal(err)
			}
			for i, item := range got.GetOrder().GetItems() {
				if diff := cmp.Diff(c.GetItems()[i].GetName(), item.GetName()); diff != "" {
					t.Errorf("name %d (-sent +got):\n%s", i, diff)
				}
			}
			r.acceptsTwin(t, c, got.GetOrder())
		})
	}
}

func TestAnOrderIDIsAUUIDThatExists(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	calls := map[string]func(context.Context, string) error{
		"GetOrder": func(ctx context.Context, id string) error {
			_, err := r.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
			return err
		},
		"CancelOrder": func(ctx context.Context, id string) error {
			_, err := r.client.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
			return err
		},
		"WatchOrder": func(ctx context.Context, id string) error {
			stream, err := r.client.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
	}
	unknown := uuid.NewString()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, id := range []string{
				"", "abc", "{" + unknown + "}", unknown + "0", "urn:uuid:" + unknown, unknown[:35] + "\x00",
			} {
				err := call(t.Context(), id)
				wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS", "order_id")
				method, path := oneOrder(name, id)
				switch a := r.send(t, method, path, ""); {
				case id == "", strings.Contains(id, ":"): // a verb follows the colon
					wantStatus(t, a, http.StatusNotFound, "MALFORMED_REQUEST", "there is no")
				default:
					wantTwin(t, err, a)
				}
			}
			err := call(t.Context(), unknown)
			wantError(t, err, codes.NotFound, "ORDER_NOT_FOUND")
			method, path := oneOrder(name, unknown)
			wantTwin(t, err, r.send(t, method, path, ""))
		})
	}
}

func TestListOrdersRefusesWhatBreaksARule(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	r.create(t)
	r.create(t)
	first, err := r.client.ListOrders(t.Context(), &orderv1.ListOrdersRequest{PageSize: 1, CustomerId: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	token := first.GetNextPageToken()
	type list = orderv1.ListOrdersRequest
	tests := map[string]struct {
		list   *list
		fields []string
	}{
		"negative page_size":          {&list{PageSize: -1}, []string{"page_size"}},
		"the most negative page_size": {&list{PageSize: math.MinInt32}, []string{"page_size"}},
		"bad customer_id":             {&list{CustomerId: "a b"}, []string{"customer_id"}},
		"unknown status":              {&list{Status: 99}, []string{"status"}},
		"negative status":             {&list{Status: -1}, []string{"status"}},
		"forged token":                {&list{CustomerId: "alice", PageToken: "AAAA"}, []string{"page_token"}},
		"truncated token": {
			&list{CustomerId: "alice", PageToken: token[:len(token)-1]}, []string{"page_token"},
		},
		"token of other filters": {&list{CustomerId: "bob", PageToken: token}, []string{"page_token"}},
		"everything at once": {
			&list{PageSize: -1, CustomerId: "\x00", Status: 99}, []string{"page_size", "customer_id", "status"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.client.ListOrders(t.Context(), test.list)
			wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS", test.fields...)
			switch a := r.send(t, "GET", listPath(test.list), ""); {
			case orderv1.Order_Status_name[int32(test.list.GetStatus())] == "": // an enum has names in JSON
				wantStatus(t, a, http.StatusBadRequest, "MALFORMED_REQUEST", "is not a valid value")
			default:
				wantTwin(t, err, a)
			}
		})
	}
	t.Run("a huge page_size is capped", func(t *testing.T) {
		t.Parallel()
		reply, err := r.client.ListOrders(t.Context(), &list{PageSize: 1e9})
		if err != nil || len(reply.GetOrders()) != 2 {
			t.Errorf("got %d orders, error %v; want 2", len(reply.GetOrders()), err)
		}
		var twin orderv1.ListOrdersResponse
		r.send(t, "GET", listPath(&list{PageSize: 1e9}), "").into(t, &twin)
		if !proto.Equal(&twin, reply) {
			t.Errorf("as JSON: got %v, want %v", &twin, reply)
		}
	})
}

// raw sends bytes as they are.
type raw struct{ encoding.CodecV2 }

func (raw) Name() string { return "proto" }
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

func TestWhatIsNoMessageDoesNotReachTheHandler(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	const createOrder, orders = orderv1.OrderService_CreateOrder_FullMethodName, "/v1/orders"
	tests := map[string]struct {
		method string
		bytes  []byte
		want   codes.Code

		path, json string // its twin
		code       int
	}{
		"invalid UTF-8": {
			createOrder, []byte("\x0a\x02\xff\xfe"), codes.Internal, orders, "{\"customerId\": \"\xff\xfe\"}", 400,
		},
		"random bytes": {createOrder, []byte("\xde\xad\xbe\xef"), codes.Internal, orders, "\xde\xad\xbe\xef", 400},
		"a wrong type": {createOrder, []byte("\x08\x01"), codes.InvalidArgument, orders, `{"customerId": 1}`, 400},
		"too large": {
			createOrder, make([]byte, maxReceive+1), codes.ResourceExhausted,
			orders, strings.Repeat(" ", maxReceive+1), 413,
		},
		"unknown method":  {"/order.v1.OrderService/Nope", nil, codes.Unimplemented, orders + "/1:nope", "{}", 404},
		"unknown service": {"/order.v9.OrderService/CreateOrder", nil, codes.Unimplemented, "/v9/orders", "{}", 404},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := r.conn.Invoke(t.Context(), test.method, test.bytes, nil, grpc.ForceCodecV2(raw{}))
			if got := status.Code(err); got != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			wantStatus(t, r.send(t, "POST", test.path, test.json), test.code, "MALFORMED_REQUEST", "")
		})
	}
}

func TestAnOrderIsWholeOrNotAtAllHoweverShortTheDeadline(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	for _, left := range []time.Duration{-time.Second, time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		_, err := r.client.CreateOrder(ctx, request())
		r.leave(ctx, t, ghost)
		cancel()
		if code := status.Code(err); code != codes.OK && code != codes.DeadlineExceeded {
			t.Errorf("%s left: got %v, want an order or DEADLINE_EXCEEDED", left, err)
		}
	}
	r.stop() // no call is under way any more
	orders := r.count(t, `SELECT count(*) FROM orders`)
	charges := r.count(t, `SELECT count(*) FROM outbox JOIN orders ON key = orders.id`)
	if orders != charges {
		t.Errorf("got %d orders and %d charges, want as many", orders, charges)
	}
}
