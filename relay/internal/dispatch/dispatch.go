// Package dispatch is the relay's way to paymentd: the stream that carries commands, and what each answer means.
//
// Its promise: every command that is handed to Deliver is reported exactly once, within the time that it may take,
// whatever the network does; and it is reported as decided only when paymentd answered OK, with a durable outcome, for
// that very payment. Nothing is sent before paymentd has told which payments database it has, and only to one that is
// trusted; each command names it. An error is a hint for the pace (the classes of doc/rules.md), and never evidence
// that something was done or not. What a report means to its order is not decided here.
package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/wait"
)

// Dispatcher carries commands to paymentd: in bulk over one stream, and those that may break it each by itself.
type Dispatcher struct {
	peer *acquaintance

	mu     sync.Mutex
	stream *stream // the latest; nil until the first batch
}

// New makes a Dispatcher. The timeout is what a command may take until it is answered or reported as silent; trust
// judges what paymentd tells of its database.
func New(client paymentv1.PaymentServiceClient, timeout time.Duration, trust Trust) *Dispatcher {
	return &Dispatcher{peer: &acquaintance{client: client, trust: trust, timeout: timeout, doubt: wait.NewBell()}}
}

// KeepAsking asks paymentd who it is, and goes on asking until ctx ends, so that Trust hears of a change also while
// nothing is sent.
func (d *Dispatcher) KeepAsking(ctx context.Context) { d.peer.keep(ctx) }

// AskAnew asks paymentd who it is, whatever is known of it, and returns when Trust has heard the answer.
func (d *Dispatcher) AskAnew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.peer.timeout)
	defer cancel()
	d.peer.forget()
	_, err := d.peer.ask(ctx)
	return err
}

// delivery is a command on its way.
type delivery struct {
	message outbox.Message
	command *paymentv1.PaymentCommand
	report  func(outbox.Report)
	sent    time.Time
	silence silence // what it means, once there is no answer
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
	ctx, cancel := context.WithTimeout(ctx, d.peer.timeout)
	defer cancel()
	k := d.peer.latest()
	if k == nil {
		var err error
		if k, err = d.peer.ask(ctx); err != nil { // nothing was sent
			next.answer(refusalOf(err).blocks)
			return
		}
	}
	if len(d.inTime(ctx, k, []*delivery{next})) == 0 {
		return
	}
	payment, err := d.carry(ctx, next.command)
	f := refusalOf(err)
	d.peer.notice(payment, f.reason)
	next.answer(func(r *outbox.Report) {
		if err == nil {
			d.peer.serves()
			decide(r, askedBy(next.command), payment)
			return
		}
		f.apply(r)
		r.Unanswered = f.fromTransport()
		r.Lost, r.Hung = r.Unanswered, f.hangs()
		if f.silent() {
			d.peer.silenceSince(next.sent).note(r)
		}
	})
}

func (d *Dispatcher) carry(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	if charge := c.GetCharge(); charge != nil {
		reply, err := d.peer.client.ChargePayment(ctx, charge)
		return reply.GetPayment(), err
	}
	reply, err := d.peer.client.VoidPayment(ctx, c.GetVoid())
	return reply.GetPayment(), err
}

// inTime returns the deliveries that may be sent to the paymentd that is known, each naming its database. Charges that
// paymentd would call expired though their orders do not are answered: they wait, until the clock is asked again and is
// another, or until they are expired by their orders' clock as well.
func (d *Dispatcher) inTime(ctx context.Context, k *known, all []*delivery) []*delivery {
	early := func(next *delivery) bool { return k.expires(next.command.GetCharge(), time.Now()) }
	if slices.ContainsFunc(all, early) {
		bounded, cancel := context.WithTimeout(ctx, d.peer.timeout-time.Since(all[0].sent))
		if now, err := d.peer.ask(bounded); err == nil && now.Database == k.Database {
			k = now
		}
		cancel()
	}
	sent := make([]*delivery, 0, len(all))
	for _, next := range all {
		if early(next) {
			next.answer(func(r *outbox.Report) {
				r.Result, r.Code = outbox.Blocked, codeClock
				r.Body = "not sent: paymentd's clock is past the order's deadline, and the orders database's is not"
			})
			continue
		}
		mean(next.command, k.Database)
		sent = append(sent, next)
	}
	return sent
}

// mean has a command name the payments database that is meant.
func mean(c *paymentv1.PaymentCommand, database string) {
	if charge := c.GetCharge(); charge != nil {
		charge.PaymentsDatabase = database
	} else {
		c.GetVoid().PaymentsDatabase = database
	}
}

// unsent are the results of what was not sent.
var unsent = []outbox.Result{outbox.Expired, outbox.Unreadable, outbox.Withheld, outbox.Stray}

// Method returns the method that a delivery went over, "" when nothing was sent.
func Method(r outbox.Report) string {
	switch {
	case slices.Contains(unsent, r.Result), r.Code == codeClock:
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
	s, k, err := d.open(ctx, bulk[0].sent)
	if err == nil {
		if bulk = d.inTime(ctx, k, bulk); len(bulk) == 0 {
			return
		}
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

// open returns the stream that is open, or opens one, once it is known who is at the other end. Whoever waited for
// somebody else's opening since the given time has that much less time left, so that batches which queue here do not
// outwait their leases.
func (d *Dispatcher) open(ctx context.Context, since time.Time) (*stream, *known, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.peer.latest()
	if k != nil && d.reaches(k) {
		return d.stream, k, nil
	}
	bounded, cancel := context.WithTimeout(ctx, d.peer.timeout-time.Since(since))
	defer cancel()
	k, err := d.peer.ask(bounded)
	if err != nil {
		return nil, nil, err
	}
	if d.reaches(k) {
		return d.stream, k, nil
	}
	if d.stream != nil {
		d.stream.retire()
	}
	s, err := openStream(ctx, d.peer, k.Database, since)
	if err != nil {
		if errors.Is(err, ErrStranger) {
			d.peer.forget()
		}
		return nil, nil, err
	}
	d.stream = s
	return s, k, nil
}

// reaches reports whether the stream that is there should be used for a paymentd.
func (d *Dispatcher) reaches(k *known) bool {
	return d.stream != nil && d.stream.usable() && d.stream.database == k.Database
}
