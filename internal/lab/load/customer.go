package load

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// The mix of orders, in percent. The rest are ordinary.
const (
	bombs    = 15 // of 9999, which paymentd never charges when it simulates
	cancels  = 15 // that the customer cancels
	losses   = 2  // of 9998, whose reply is lost once
	declines = 2  // of 9996, which are declined
	repeats  = 10 // whose request is sent again on purpose
	watches  = 10 // that are watched to their end
)

// What is nobody's business but the clients': who they are, and what they order.
const (
	Customer = "load-" // and a number
	Item     = "a gift for Zoë"
)

// Amounts that the simulated card network makes something special of.
const (
	bombAmount    = 9999
	lossAmount    = 9998
	declineAmount = 9996
)

// MostAmount is what an ordinary order comes to at most: the card network makes nothing special of it.
const MostAmount = 5000

const (
	callTimeout  = 3 * time.Second
	retryPause   = 20 * time.Millisecond
	watchTimeout = 20 * time.Second // a customer has other things to do
)

// order places one order and does with it what chance has in store.
func (l *Load) order(ctx context.Context, random *rand.Rand, customer, requestID string) {
	fate := random.IntN(100)
	amount := amountFor(fate, random)
	if l.config.Ordinary {
		amount = min(amount, MostAmount)
	}
	again := random.IntN(100) < repeats
	watch := random.IntN(100) < watches
	delay := time.Duration(random.Int64N(int64(l.config.CancelWithin) + 1))

	told, err := l.create(ctx, customer, requestID, amount)
	if err != nil {
		return // only when ctx ended
	}
	if again {
		repeated, err := l.create(ctx, customer, requestID, amount)
		if err == nil && repeated.OrderID != told.OrderID {
			l.contradiction(rules.I9, "%s %s: told of two orders, %s and %s", customer, requestID, told.OrderID,
				repeated.OrderID)
		}
	}
	l.remember(told)
	switch {
	case fate >= bombs && fate < bombs+cancels:
		wait.For(ctx, delay)
		l.cancel(ctx, told)
	case watch:
		l.watch(ctx, told)
	}
}

func amountFor(fate int, random *rand.Rand) int64 {
	switch {
	case fate < bombs:
		return bombAmount
	case fate >= 100-losses:
		return lossAmount
	case fate >= 100-losses-declines:
		return declineAmount
	}
	return random.Int64N(MostAmount) + 1
}

func (l *Load) create(ctx context.Context, customer, requestID string, amount int64) (*Told, error) {
	request := &orderv1.CreateOrderRequest{
		CustomerId: customer, RequestId: &requestID, CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: Item, Quantity: 1, UnitPrice: amount}},
	}
	told := &Told{}
	err := l.persist(ctx, func(ctx context.Context) error {
		reply, err := l.config.Orders.CreateOrder(ctx, request)
		if err == nil {
			told.OrderID = reply.GetOrder().GetOrderId()
			told.Statuses = append(told.Statuses, reply.GetOrder().GetStatus())
		}
		return err
	})
	return told, err
}

func (l *Load) cancel(ctx context.Context, told *Told) {
	err := l.persist(ctx, func(ctx context.Context) error {
		reply, err := l.config.Orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: told.OrderID})
		if err == nil {
			told.Statuses = append(told.Statuses, reply.GetOrder().GetStatus())
		}
		return err
	})
	told.Cancelled = err == nil
}

func (l *Load) watch(ctx context.Context, told *Told) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	stream, err := l.config.Orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: told.OrderID})
	for err == nil {
		var reply *orderv1.WatchOrderResponse
		if reply, err = stream.Recv(); err == nil {
			told.Statuses = append(told.Statuses, reply.GetOrder().GetStatus())
		}
	}
	if !errors.Is(err, io.EOF) && !transient(err) && ctx.Err() == nil {
		l.contradiction(rules.Definite, "watch %s: %v", told.OrderID, err)
	}
}

// persist calls until it is answered, or ctx ends. Errors that a client must not meet are remembered.
func (l *Load) persist(ctx context.Context, call func(context.Context) error) error {
	began := time.Now()
	for {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		err := call(bounded)
		cancel()
		if err == nil {
			l.took(time.Since(began))
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if !transient(err) {
			l.contradiction(rules.Definite, "%v", err)
			return err
		}
		wait.For(ctx, retryPause)
	}
}

// transient reports whether an error says: ask again.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted:
		return true
	}
	return false
}
