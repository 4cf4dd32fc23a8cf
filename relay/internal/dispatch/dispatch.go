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
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/command"
	"hosho/internal/crew"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/wait"
)

// Dispatcher carries commands to paymentd: in bulk over one stream, and those that may break it each by itself.
type Dispatcher struct {
	config  Config
	peer    *acquaintance
	streams *streams
	memory  *memory // of those that were reported as silent

	ctx context.Context // ends with Close
	end context.CancelFunc
}

// New makes a Dispatcher. Close ends it.
func New(client paymentv1.PaymentServiceClient, config Config) *Dispatcher {
	ctx, end := context.WithCancel(context.Background())
	d := &Dispatcher{
		config: config, ctx: ctx, end: end, memory: newMemory(remembered*config.Batch, config.Registry),
		peer: &acquaintance{
			client: client, trust: config.Trust, patience: config.patience(), ctx: ctx, doubt: wait.NewBell(),
		},
	}
	d.streams = &streams{peer: d.peer, memory: d.memory, config: config, ctx: ctx}
	return d
}

// Close ends the streams. What is on its way is reported as unanswered.
func (d *Dispatcher) Close() { d.end() }

// KeepAsking asks paymentd who it is, and goes on asking until ctx ends, so that Trust hears of a change also while
// nothing is sent.
func (d *Dispatcher) KeepAsking(ctx context.Context) { d.peer.keep(ctx) }

// AskAnew asks paymentd who it is, whatever is known of it, and returns when Trust has heard the answer.
func (d *Dispatcher) AskAnew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
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
	over    bool    // it is not pending any more; its stream's own

	traceparent string // what it is carried out under; empty: nobody traces it
}

// answer reports what became of the delivery. The caller sees to it that it happens once.
func (d *delivery) answer(fill func(*outbox.Report)) {
	r := outbox.Report{Message: d.message, Took: d.took()}
	fill(&r)
	d.report(r)
}

// took returns how long ago it was sent.
func (d *delivery) took() time.Duration { return time.Since(d.sent) }

// Deliver sends messages and returns at once; see outbox.Handler.
func (d *Dispatcher) Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
	bulk := make([]*delivery, 0, len(messages))
	for _, m := range messages {
		c, err := CommandIn(m)
		if err != nil {
			report(Unreadable(m, err))
			continue
		}
		next := &delivery{message: m, command: c, report: report, sent: time.Now()}
		d.trace(next)
		if m.Alone {
			go d.call(ctx, next)
		} else {
			bulk = append(bulk, next)
		}
	}
	if len(bulk) > 0 {
		crew.Go(func() { d.send(ctx, bulk) })
	}
}

// Unreadable is the report on a command that cannot be read.
func Unreadable(m outbox.Message, err error) outbox.Report {
	return outbox.Report{Message: m, Result: outbox.Unreadable, Code: codeUnreadable, Body: err.Error()}
}

// CommandIn returns the command in a message, which whoever checked it has perhaps read already.
func CommandIn(m outbox.Message) (*paymentv1.PaymentCommand, error) {
	if c, ok := m.Read.(*paymentv1.PaymentCommand); ok {
		return c, nil
	}
	return command.Decode(order.Command(m.Kind), m.Key, m.Payload)
}

// inTime returns the deliveries that may be sent to the paymentd that is known. Charges that it would call expired
// though their orders do not are answered: they wait, until the clock is asked again and is another, or until they are
// expired by their orders' clock as well.
func (d *Dispatcher) inTime(ctx context.Context, k *known, all []*delivery) []*delivery {
	now := time.Now()
	early := func(next *delivery) bool { return k.expires(next.command.GetCharge(), now) }
	if !slices.ContainsFunc(all, early) {
		return all
	}
	if anew, err := d.peer.ask(ctx); err == nil && anew.Database == k.Database {
		k, now = anew, time.Now()
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

// Sent reports whether a delivery went out at all.
func Sent(r outbox.Report) bool { return !slices.Contains(unsent, r.Result) && r.Code != codeClock }

// Method returns the method that a delivery went over, "" when nothing was sent.
func (d *Dispatcher) Method(r outbox.Report) string {
	switch {
	case !Sent(r):
		return ""
	case !r.Message.Alone:
		return "ProcessPayments"
	case order.Command(r.Message.Kind) == order.Void:
		return "VoidPayment"
	}
	return "ChargePayment"
}

// send puts deliveries on the stream, as soon as there is one.
func (d *Dispatcher) send(ctx context.Context, bulk []*delivery) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	for {
		s, k, err := d.streams.take(ctx)
		if err == nil {
			if bulk = d.inTime(ctx, k, bulk); len(bulk) == 0 {
				return
			}
			err = s.send(bulk)
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, errStreamEnded) && ctx.Err() == nil: // in between: there will be another
		default: // not sent: no stream could be had
			f := refusalOf(err)
			for _, next := range bulk {
				next.answer(f.blocks)
			}
			return
		}
	}
}
