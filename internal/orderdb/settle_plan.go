package orderdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// plan gathers what a settlement writes, to write it set by set.
type plan struct {
	encode  Encoder
	changes []Change

	left     []change       // statuses that are left
	now      []order.Order  // the orders that leave them, as they are then
	settled  []string       // orders whose commands all leave the outbox
	dropped  []int64        // commands that leave the outbox
	appended []outbox.New   // commands that enter it
	retried  []outbox.Retry // commands that are tried again
	parked   []outbox.Retry // commands that wait for a person
	attempts []attempt
	failed   []attempt // those of voids that were sent in vain and go on
}

// left is a status that an order left, and when, for what it is now.
type left struct {
	from order.Status
	now  order.Order
	at   time.Time
}

// Vain is a void that has come to no decision once more.
type Vain struct {
	Message  outbox.Message
	Code     string
	Failures int // deliveries of it that were recorded, this one included
}

// add notes what a verdict changes.
func (p *plan) add(v verdict) error {
	o, from, finding := v.order.Order, v.order.Status, v.finding
	changes := v.Changes(v.order.state())
	if changes {
		p.left = append(p.left, change{
			id: o.ID, from: from, to: v.To.Status, reason: v.Reason, cause: finding.Event, who: finding.Delivery.Relay,
			traceparent: finding.Retry.Message.Traceparent,
		})
		o.Status = v.To.Status
		if v.Reason != "" {
			o.CancelReason = v.Reason
		}
		if from == order.Completed {
			o.CompletedAt = o.UpdatedAt // the trigger orders_remember_completed writes it
		}
		p.now = append(p.now, o)
	}
	if changes || v.Alarm {
		p.changes = append(p.changes, Change{
			OrderID: o.ID, From: from, To: o.Status, Reason: o.CancelReason,
			AmountMinor: o.AmountMinor, Currency: o.Currency,
			Event: finding.Event, Code: finding.Retry.Code, Alarm: v.Alarm,
			Trace: finding.Retry.Message.Traceparent,
		})
	}
	if v.Void {
		void, err := voidOf(p.encode, o, finding.Retry.Message.Traceparent)
		if err != nil {
			return err
		}
		p.appended = append(p.appended, void)
	}
	p.attempt(v.Fate, finding)
	return p.fate(o, v.Fate, finding.Retry)
}

// done returns what was left, once it is written.
func (p *plan) done() []left {
	all := make([]left, len(p.left))
	for i, c := range p.left {
		all[i] = left{c.from, p.now[i], c.at}
	}
	return all
}

// attempt notes how a delivery went, unless that is implied.
func (p *plan) attempt(fate order.Fate, finding Finding) {
	retry := finding.Retry
	if finding.Delivery.implied(retry) || retry.Message.ID == 0 { // an event of a command that is gone
		return
	}
	a := attempt{Delivery: finding.Delivery, message: retry.Message, code: retry.Code}
	if fate == order.Retry || fate == order.RetrySlowly || fate == order.Rebuild {
		a.retryIn = &retry.Delay
	}
	p.attempts = append(p.attempts, a)
	if finding.Event == order.VoidUndecided && fate == order.Retry && a.RPC != "" && a.Result != outbox.Deferred {
		p.failed = append(p.failed, a)
	}
}

// fate notes what becomes of the command that the finding is about.
func (p *plan) fate(o order.Order, fate order.Fate, retry outbox.Retry) error {
	switch fate {
	case order.Drop:
		p.dropped = append(p.dropped, retry.Message.ID)
	case order.DropAll:
		p.settled = append(p.settled, o.ID)
	case order.Retry, order.RetrySlowly:
		p.retried = append(p.retried, retry)
	case order.Rebuild:
		payload, err := p.encode(order.Command(retry.Message.Kind), o)
		if err != nil {
			return err
		}
		retry.Payload = payload
		p.retried = append(p.retried, retry)
	case order.Park:
		p.parked = append(p.parked, retry)
	case order.Keep:
	}
	return nil
}

// write records the attempts, so that their times come before that of what they led to, and changes the orders, which
// are locked, and then the outbox.
func (p *plan) write(ctx context.Context, tx pgx.Tx) error {
	if err := record(ctx, tx, p.attempts); err != nil {
		return err
	}
	if err := leave(ctx, tx, p.left); err != nil {
		return err
	}
	if err := Outbox.RemoveAll(ctx, tx, p.settled); err != nil {
		return err
	}
	if err := Outbox.Remove(ctx, tx, p.dropped); err != nil {
		return err
	}
	if err := Outbox.Reschedule(ctx, tx, p.retried); err != nil {
		return err
	}
	if err := Outbox.Park(ctx, tx, p.parked); err != nil {
		return err
	}
	if err := Outbox.Ensure(ctx, tx, p.appended...); err != nil {
		return err
	}
	failpoint.Here(failpoint.SettleInside)
	if len(p.appended) > 0 {
		failpoint.Here(failpoint.SettleGivingUp)
	}
	return nil
}
