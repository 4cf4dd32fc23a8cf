package hostile

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/net/http2"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// noWindow is the setting of a client that takes no reply.
var noWindow = http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}

// Unread opens 2,000 streams of commands to paymentd on one connection and sends as much as each takes. It never reads
// a reply, and opens another stream for each that is ended.
func Unread(ctx context.Context, address string) error {
	return unread(ctx, address, 1, 2000, calls{methods: []string{process}, body: commands(), then: again})
}

// UnreadByMany is Unread by a hundred clients with twenty streams each.
func UnreadByMany(ctx context.Context, address string) error {
	return unread(ctx, address, 100, 20, calls{methods: []string{process}, body: commands(), then: again})
}

// commands is a request of a thousand commands that are refused without a look at the database, and answered at length.
func commands() []byte {
	request := &paymentv1.ProcessPaymentsRequest{}
	for range 1000 {
		request.Commands = append(request.Commands, &paymentv1.PaymentCommand{
			Command: &paymentv1.PaymentCommand_Void{Void: &paymentv1.VoidPaymentRequest{
				PaymentId: strings.Repeat("z", 36), CustomerId: strings.Repeat("\x01", 16),
			}},
		})
	}
	return message(request)
}

// UnreadReflection asks each daemon to describe itself, again and again on 2,000 streams, and never reads what it says.
func UnreadReflection(ctx context.Context, address string) error {
	ask := []byte("\x00\x00\x00\x00\x02\x3a\x00") // list_services, in its field 7
	file := "order/v1/order_service.proto"        // file_by_filename, in its field 3
	named := append([]byte{0, 0, 0, 0, byte(len(file) + 2), 0x1a, byte(len(file))}, file...)
	return unread(ctx, address, 2, 1000, calls{methods: []string{reflection}, body: append(ask, named...), then: again})
}

// UnreadWatches watches the health of a daemon and an order of orderd, 2,000 times on each of two connections.
func UnreadWatches(ctx context.Context, address string) error {
	order, err := place(ctx, address, 1)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	both.Go(func() { _ = unread(ctx, address, 1, 2000, calls{methods: []string{watch}, body: make([]byte, prefix)}) })
	both.Go(func() {
		body := message(&orderv1.WatchOrderRequest{OrderId: order.GetOrderId()})
		err = unread(ctx, address, 1, 2000, calls{methods: []string{"/order.v1.OrderService/WatchOrder"}, body: body})
	})
	both.Wait()
	return err
}

// Watchers watches an order that is not settled 10,000 times, and reads what it is sent.
func Watchers(ctx context.Context, address string) error {
	order, err := place(ctx, address, 1)
	if err != nil {
		return err
	}
	body := message(&orderv1.WatchOrderRequest{OrderId: order.GetOrderId()})
	return calls{methods: []string{"/order.v1.OrderService/WatchOrder"}, body: body}.keep(ctx, address, 10, 1000)
}

// HealthWatchers watches a daemon's health 20,000 times, and reads what it is sent.
func HealthWatchers(ctx context.Context, address string) error {
	return calls{methods: []string{watch}, body: make([]byte, prefix)}.keep(ctx, address, 20, 1000)
}

// UnreadPages asks orderd for pages of large orders, 500 on each of four connections, and takes none. LargeOrders
// places the orders.
func UnreadPages(ctx context.Context, address string) error {
	list := calls{methods: []string{"/order.v1.OrderService/ListOrders"}, body: message(largePage())}
	return unread(ctx, address, 4, 500, list)
}

// unread keeps so many calls open on each connection, and takes no reply.
func unread(ctx context.Context, address string, clients, streams int, all calls) error {
	return all.keep(ctx, address, clients, streams, noWindow)
}
