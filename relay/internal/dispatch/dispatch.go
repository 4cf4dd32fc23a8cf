// Package dispatch is the relay's way to paymentd: the stream that carries commands, and what each answer means.
//
// Its promise: every command that is handed to Deliver is reported exactly once, within the time that it may take,
// whatever the network does; and it is reported as decided only when paymentd answered OK, with a durable outcome, for
// that very payment. An error is a hint for the pace (the classes of doc/rules.md), and never evidence that something
// was done or not. What a report means to its order is not decided here.
package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// Dispatcher carries commands to paymentd: in bulk over one stream, and those that may break it each by itself.
type Dispatcher struct {
	client  paymentv1.PaymentServiceClient
	timeout time.Duration // within which a command is answered or reported as silent

	mu     sync.Mutex
	stream *stream // the latest; nil until the first batch
}

// New makes a Dispatcher. The timeout is what a command may take until it is answered or reported as silent.
func New(client paymentv1.PaymentServiceClient, timeout time.Duration) *Dispatcher {
	return &Dispatcher{client: client, timeout: timeout}
}

// delivery is a command on its way.
type delivery struct {
	message outbox.Message
	command *paymentv1.PaymentCommand
	report  func(outbox.Report)
	sent    time.Time
}

// answer reports what became of the delivery. The caller sees to it that it happens once.
func (d *delivery) answer(fill func(*outbox.Report)) {
	r := outbox.Report{Message: d.message, Took: time.Since(d.sent)}
	fill(&r)
	d.report(r)
}

// Deliver sends messages and returns at once; see outbox.Handler.
func (d *Dispatcher) Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
	var bulk []*delivery
	for _, m := range messages {
		c, err := command.Decode(order.Command(m.Kind), m.Key, m.Payload)
		if err != nil {
			report(outbox.Report{Message: m, Result: outbox.Unreadable, Code: codeUnreadable, Body: err.Error()})
			continue
		}
		next := &delivery{message: m, command: c, report: report, sent: time.Now()}
		if m.Alone {
			go d.call(ctx, next)
		} else {
			bulk = append(bulk, next)
		}
	}
	if len(bulk) > 0 {
		go d.send(ctx, bulk)
	}
}

// call delivers one command in a call of its own.
func (d *Dispatcher) call(ctx context.Context, next *delivery) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var payment *paymentv1.Payment
	var err error
	if charge := next.command.GetCharge(); charge != nil {
		var reply *paymentv1.ChargePaymentResponse
		reply, err = d.client.ChargePayment(ctx, charge)
		payment = reply.GetPayment()
	} else {
		var reply *paymentv1.VoidPaymentResponse
		reply, err = d.client.VoidPayment(ctx, next.command.GetVoid())
		payment = reply.GetPayment()
	}
	next.answer(func(r *outbox.Report) {
		if err != nil {
			f := refusalOf(err)
			f.apply(r)
			r.Unanswered = f.fromTransport()
			return
		}
		decide(r, askedBy(next.command), payment)
	})
}

// unsent are the results of what was not sent.
var unsent = []outbox.Result{outbox.Expired, outbox.Unreadable, outbox.Withheld, outbox.Stray}

// Method returns the method that a delivery went over, "" when nothing was sent.
func Method(r outbox.Report) string {
	switch {
	case slices.Contains(unsent, r.Result):
		return ""
	case !r.Message.Alone:
		return "ProcessPayments"
	case order.Command(r.Message.Kind) == order.Void:
		return "VoidPayment"
	}
	return "ChargePayment"
}

// send puts deliveries on the stream, opening one when there is none.
func (d *Dispatcher) send(ctx context.Context, bulk []*delivery) {
	s, err := d.open(ctx, bulk[0].sent)
	if err == nil {
		err = s.send(bulk)
	}
	if err == nil {
		return
	}
	// Not sent: the stream could not be had, or had ended before.
	f := refusalOf(err)
	for _, next := range bulk {
		next.answer(f.blocks)
	}
}

// open returns the stream that is open, or opens one. Whoever waited for somebody else's opening since the given time
// has that much less time left, so that batches which queue here do not outwait their leases.
func (d *Dispatcher) open(ctx context.Context, since time.Time) (*stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stream != nil && d.stream.usable() {
		return d.stream, nil
	}
	s, err := openStream(ctx, d.client, d.timeout, since)
	if err != nil {
		return nil, err
	}
	d.stream = s
	return s, nil
}
