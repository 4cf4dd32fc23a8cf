package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "hosho/gen/events/v1"
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/class"
	"hosho/internal/envelope"
	"hosho/internal/inbox"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
)

// publishTimeout bounds how long the broker may take to confirm. What it has not confirmed by then is asked for again.
const publishTimeout = 5 * time.Second

// publish publishes what commands came to, and notes which of their events are done with.
func (c *consumer) publish(ctx context.Context, answers []answer) {
	defer func() {
		if p := recover(); p != nil { // their events come again
			c.log.Error("publishing outcomes panicked", "events", len(answers), "panic", fmt.Sprint(p))
		}
	}()
	var events []broker.Event
	var of []*heard
	for i := range answers {
		a := &answers[i]
		refusal := toPaymentError(a.err)
		c.record(ctx, a, refusal)
		said, otherwise := c.saidOf(a, refusal)
		if said == nil {
			c.hanging.end(a.heard, otherwise)
			continue
		}
		event, err := envelope.Seal(broker.Payments(c.prefix), letterOf(a, said))
		if err != nil {
			c.log.Error("an outcome cannot be published", "payment_id", a.asked.ID, "error", err)
			c.hanging.end(a.heard, inbox.Later)
			continue
		}
		events, of = append(events, event), append(of, a.heard)
	}
	if len(events) > 0 {
		c.confirm(ctx, events, of)
	}
}

// confirm publishes events. What each of them answers is done with when the broker has confirmed it.
func (c *consumer) confirm(ctx context.Context, events []broker.Event, of []*heard) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var failed []error
	for i, err := range c.broker.Publish(ctx, events) {
		fate := inbox.Done
		if err != nil {
			failed, fate = append(failed, err), inbox.Later
		}
		c.hanging.end(of[i], fate)
	}
	c.tellConfirmed(failed)
}

// tellConfirmed tells the log when outcomes are not confirmed, and when they are again. While a topic is missing each
// of them fails several times a second.
func (c *consumer) tellConfirmed(failed []error) {
	if len(failed) > 0 {
		if n := c.unconfirmed.Met(len(failed), time.Now()); n > 0 {
			c.log.Warn("outcomes were not confirmed by the broker, and are published again",
				"events", n, "error", failed[0])
		}
		return
	}
	if lasted, n, tell := c.unconfirmed.Over(time.Now()); tell {
		c.log.Info("outcomes are confirmed by the broker again", "events", n, "took", lasted)
	}
}

// saidOf returns what is to be published of an answer: what is stored, whoever decided it; or why this one could not be
// decided, where that is about the order. nil: nothing is, and what becomes of the event is clear.
func (c *consumer) saidOf(a *answer, refusal *paymentv1.PaymentError) (said proto.Message, otherwise inbox.Fate) {
	switch {
	case refusal == nil:
		return outcomeOf(&a.payment), 0
	case errors.Is(a.err, errReplyLost):
		return nil, inbox.Done // it is lost as a reply would be: whoever asks again is told
	case class.IsAboutOrder(refusal.GetCode(), refusal.GetReason()):
		return refusedOf(a, refusal), 0
	case errors.Is(a.err, paymentdb.ErrWrongDatabase):
		c.pin.forget()
	}
	c.fitness.note(a.err)
	return nil, inbox.Later
}

// letterOf is the letter that tells the sender of an event what it came to.
func letterOf(a *answer, said proto.Message) envelope.Letter {
	l := envelope.Letter{
		Side: envelope.Payments, Database: a.meant, Key: a.asked.ID, Time: a.payment.UpdatedAt,
		Traceparent: a.traceparent, Send: a.heard.Send, Message: said,
	}
	if a.err != nil {
		l.Time = time.Now()
	}
	if a.kind == kindVoid { // no broker takes it for the answer to a charge that was sent as often
		l.Send = -l.Send
	}
	return l
}

// outcomeOf says what is stored of a payment.
func outcomeOf(p *payment.Payment) proto.Message {
	amount := &moneyv1.Money{CurrencyCode: p.Currency, AmountMinor: p.AmountMinor}
	at := timestamppb.New(p.UpdatedAt)
	switch p.Status {
	case payment.Charged:
		return &eventsv1.PaymentCharged{PaymentId: p.ID, CustomerId: p.CustomerID, Amount: amount, ChargeTime: at}
	case payment.Declined:
		return &eventsv1.PaymentDeclined{
			PaymentId: p.ID, CustomerId: p.CustomerID, Amount: amount, Reason: toReason(p.DeclineReason),
			DeclineTime: at,
		}
	case payment.Voided:
		return &eventsv1.PaymentVoided{PaymentId: p.ID, CustomerId: p.CustomerID, Amount: amount, VoidTime: at}
	case payment.Refunded:
		return &eventsv1.PaymentRefunded{PaymentId: p.ID, CustomerId: p.CustomerID, Amount: amount, RefundTime: at}
	}
	panic(fmt.Sprintf("payment %s is %q, which has no event", p.ID, p.Status))
}

// refusedOf says why an event's command could not be decided.
func refusedOf(a *answer, refusal *paymentv1.PaymentError) proto.Message {
	asked := eventsv1.PaymentRefused_COMMAND_CHARGE
	if a.kind == kindVoid {
		asked = eventsv1.PaymentRefused_COMMAND_VOID
	}
	return &eventsv1.PaymentRefused{
		PaymentId: a.asked.ID, Command: asked, Send: a.heard.Send,
		Code: refusal.GetCode(), Reason: refusal.GetReason(), Message: refusal.GetMessage(),
	}
}
