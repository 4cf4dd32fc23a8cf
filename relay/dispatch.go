package main

import (
	"context"
	"sync"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// dispatcher carries commands to paymentd: in bulk over one stream, and those that may break it each by itself.
type dispatcher struct {
	client  paymentv1.PaymentServiceClient
	timeout time.Duration // within which a command is answered or reported as silent

	mu     sync.Mutex
	stream *stream // the latest; nil until the first batch
}

func newDispatcher(client paymentv1.PaymentServiceClient, timeout time.Duration) *dispatcher {
	return &dispatcher{client: client, timeout: timeout}
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
func (d *dispatcher) Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
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
func (d *dispatcher) call(ctx context.Context, next *delivery) {
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

// methodOf is the method that a delivery went over, empty when nothing was sent.
func methodOf(r outbox.Report) string {
	switch {
	case r.Result == outbox.Expired || r.Result == outbox.Unreadable:
		return ""
	case !r.Message.Alone:
		return "ProcessPayments"
	case order.Command(r.Message.Kind) == order.Void:
		return "VoidPayment"
	}
	return "ChargePayment"
}

// send puts deliveries on the stream, opening one when there is none.
func (d *dispatcher) send(ctx context.Context, bulk []*delivery) {
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

// open answers the stream that is open, or opens one. Whoever waited for somebody else's opening since the given time
// has that much less patience, so that batches which queue here do not outwait their leases.
func (d *dispatcher) open(ctx context.Context, since time.Time) (*stream, error) {
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
