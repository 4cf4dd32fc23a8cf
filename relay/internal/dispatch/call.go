package dispatch

import (
	"context"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/outbox"
	"hosho/internal/trace"
)

// call delivers one command in a call of its own.
func (d *Dispatcher) call(ctx context.Context, next *delivery) {
	bounded, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	k := d.peer.current()
	if k == nil {
		var err error
		if k, err = d.peer.ask(bounded); err != nil { // nothing was sent
			next.answer(refusalOf(err).blocks)
			return
		}
	}
	if len(d.inTime(bounded, k, []*delivery{next})) == 0 {
		return
	}
	mean(next.command, k.Database)
	// It goes on when it was reported as silent, as a stream does.
	patient, end := context.WithTimeout(d.ctx, d.config.Timeout+d.config.listen())
	defer end()
	answers := make(chan answer, 1)
	go func() {
		payment, err := d.carry(trace.Send(patient, next.traceparent), next.command)
		answers <- answer{payment, err}
	}()
	select {
	case a := <-answers:
		d.hear(next, a)
	case <-bounded.Done():
		next.answer(func(r *outbox.Report) {
			r.Code, r.Hung = codeSilent, true
			d.peer.silenceSince(next.sent).note(r)
		})
		d.hearLate(next, <-answers)
	}
}

// answer is what a call of its own came to.
type answer struct {
	payment *paymentv1.Payment
	err     error
}

func (d *Dispatcher) carry(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	if charge := c.GetCharge(); charge != nil {
		reply, err := d.peer.client.ChargePayment(ctx, charge)
		return reply.GetPayment(), err
	}
	reply, err := d.peer.client.VoidPayment(ctx, c.GetVoid())
	return reply.GetPayment(), err
}

// hear reports what came of a command in its time.
func (d *Dispatcher) hear(next *delivery, a answer) {
	f := refusalOf(a.err)
	d.peer.notice(a.payment, f.reason)
	next.answer(func(r *outbox.Report) {
		if a.err == nil {
			d.peer.serves(next.sent)
			decide(r, askedBy(next.command), a.payment)
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

// hearLate reports what came of a command that was reported as silent, if it is a decision. What the transport says of
// it is no reply.
func (d *Dispatcher) hearLate(next *delivery, a answer) {
	switch {
	case a.err == nil:
		d.memory.hear(next, &paymentv1.PaymentResult{Outcome: &paymentv1.PaymentResult_Payment{Payment: a.payment}})
	case !refusalOf(a.err).fromTransport():
		d.memory.errors.Inc()
	}
}
