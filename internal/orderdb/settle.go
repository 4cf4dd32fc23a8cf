package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Finding is what a relay found out about one command of an order.
type Finding struct {
	Event    order.Event
	Retry    outbox.Retry // the command, and how it goes on if it is to be tried again
	Delivery Delivery     // how that was found out: recorded, unless it is implied
}

// Change is what a finding did to its order.
type Change struct {
	Order order.Order // as it is afterwards, but for UpdatedAt
	From  order.Status
	Event order.Event
	Alarm bool // a person should look
}

// Settlement is what Settle did.
type Settlement struct {
	Changes []Change // of those findings that changed a status or raise an alarm
	Later   []int    // indexes of findings that were not applied: somebody else has their orders, or they come twice
	More    bool     // commands were appended or rescheduled
	Vain    []Vain   // voids that have failed, and go on
}

// Vain is a void that has come to no decision once more.
type Vain struct {
	Message  outbox.Message
	Code     string
	Failures int // deliveries of it that were recorded, this one included
}

// Settle applies findings in one transaction: each order's compare-and-set, what becomes of its commands, and the
// record of the attempts. It locks the orders first, by id, then the outbox, as everybody does. Applying a finding
// twice changes nothing the second time.
func (s *Store) Settle(ctx context.Context, findings []Finding) (Settlement, error) {
	var done Settlement
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		done = Settlement{}
		locked, err := lockAll(ctx, tx, findings)
		if err != nil {
			return err
		}
		plan := plan{encode: s.encode}
		for i, finding := range findings {
			o, ok := locked[finding.Retry.Message.Key]
			if !ok {
				done.Later = append(done.Later, i)
				continue
			}
			delete(locked, o.ID) // one finding an order a transaction
			if err := plan.add(o, finding); err != nil {
				return err
			}
		}
		done.Changes, done.More = plan.changes, len(plan.appended)+len(plan.retried) > 0
		if err := plan.write(ctx, tx); err != nil {
			return err
		}
		done.Vain, err = vain(ctx, tx, plan.failed)
		return err
	})
	if err != nil {
		return Settlement{}, fmt.Errorf("settle %d findings: %w", len(findings), err)
	}
	failpoint.Here(failpoint.SettleCommitted)
	return done, nil
}

// lockAll takes the orders that the findings are about. Orders that somebody else has locked are passed over, so that
// they hold up nobody: a customer's cancel, or a person in psql.
func lockAll(ctx context.Context, tx pgx.Tx, findings []Finding) (map[string]order.Order, error) {
	ids := make([]string, len(findings))
	for i, finding := range findings {
		ids[i] = finding.Retry.Message.Key
	}
	orders, err := collect(tx.Query(ctx, `
		SELECT `+orderColumns+`
		FROM orders
		WHERE id = ANY($1::uuid[])
		ORDER BY id
		FOR UPDATE SKIP LOCKED`, ids))
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	locked := make(map[string]order.Order, len(orders))
	for _, o := range orders {
		locked[o.ID] = o
	}
	return locked, nil
}

// plan gathers what a settlement writes, to write it set by set.
type plan struct {
	encode  Encoder
	changes []Change

	left     []change       // statuses that are left
	settled  []string       // orders whose commands all leave the outbox
	dropped  []int64        // commands that leave the outbox
	appended []outbox.New   // commands that enter it
	retried  []outbox.Retry // commands that are tried again
	parked   []outbox.Message
	codes    []string // why they are parked
	attempts []attempt
	failed   []attempt // those of voids that were sent in vain and go on
}

// add asks the state machine what a finding does to its order.
func (p *plan) add(o order.Order, finding Finding) error {
	t, err := order.Apply(o.Status, finding.Event)
	if err != nil {
		return err
	}
	from := o.Status
	if t.Changes(from) {
		p.left = append(p.left, change{
			id: o.ID, from: from, to: t.To, reason: t.Reason, cause: finding.Event, who: finding.Delivery.Relay,
			traceparent: finding.Retry.Message.Traceparent,
		})
		o.Status = t.To
		if t.Reason != "" {
			o.CancelReason = t.Reason
		}
		if from == order.Completed {
			o.CompletedAt = o.UpdatedAt // the trigger orders_remember_completed writes it
		}
	}
	if t.Changes(from) || t.Alarm {
		p.changes = append(p.changes, Change{Order: o, From: from, Event: finding.Event, Alarm: t.Alarm})
	}
	if t.Void {
		void, err := voidOf(p.encode, o, finding.Retry.Message.Traceparent)
		if err != nil {
			return err
		}
		p.appended = append(p.appended, void)
	}
	p.attempt(t.Fate, finding)
	return p.fate(o, t.Fate, finding.Retry)
}

// attempt notes how a delivery went, unless that is implied.
func (p *plan) attempt(fate order.Fate, finding Finding) {
	retry := finding.Retry
	if finding.Delivery.implied(retry.Message) {
		return
	}
	a := attempt{Delivery: finding.Delivery, message: retry.Message, code: retry.Code}
	if fate == order.Retry || fate == order.Rebuild {
		a.retryIn = &retry.Delay
	}
	p.attempts = append(p.attempts, a)
	if finding.Event == order.VoidUndecided && fate == order.Retry && a.RPC != "" {
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
	case order.Retry:
		p.retried = append(p.retried, retry)
	case order.Rebuild:
		payload, err := p.encode(order.Command(retry.Message.Kind), o)
		if err != nil {
			return err
		}
		retry.Payload = payload
		p.retried = append(p.retried, retry)
	case order.Park:
		p.parked = append(p.parked, retry.Message)
		p.codes = append(p.codes, retry.Code)
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
	if err := Outbox.Park(ctx, tx, p.parked, p.codes); err != nil {
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
