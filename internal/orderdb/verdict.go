package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// held is an order that a settlement has locked.
type held struct {
	order.Order
	early  bool // its deadline has not passed, by this database's clock at the lock
	byHand bool // it is CANCELLED, and not by the saga
}

// state is the order's place in the state machine.
func (h held) state() order.State {
	s := h.State()
	s.ByHand = h.byHand
	return s
}

// verdict is what a finding comes to for its order.
type verdict struct {
	finding Finding // with what it turned out to be
	order   held
	order.Transition
}

// judge asks the state machine what a finding does to its order. What the payment service says of a payment is held
// against the order's own row, and not against the command alone: somebody may have changed the outbox.
func judge(o held, finding Finding) (verdict, error) {
	switch {
	case finding.Event.Fact() && !finding.Told.of(o.Order):
		finding.Event, finding.Retry.Code = order.ChargeConflict, order.EchoMismatch
		if order.Command(finding.Retry.Message.Kind) == order.Void {
			finding.Event = order.VoidConflict
		}
		finding.Delivery.Result = outbox.Conflict
	case finding.Event == order.PaymentExpired && o.early && o.Status == order.Pending:
		finding.Event = order.PaymentExpiredEarly
	}
	t, err := order.Apply(o.state(), finding.Event)
	if err != nil {
		return verdict{}, err
	}
	if t.Fate == order.RetrySlowly {
		finding.Retry.Delay = max(finding.Retry.Delay, finding.Longest)
	}
	switch { // decided, and yet not what the order goes with
	case finding.Event.Fact() && t.Fate == order.RetrySlowly:
		finding.Retry.Code = order.NotRefunded
	case finding.Event.Fact() && t.Fate == order.Park:
		finding.Retry.Code = order.ExpiredEarly
	}
	return verdict{finding: finding, order: o, Transition: t}, nil
}

// known reports whether it is no news: the order was settled before, goes with it, and has no command left. Nearly
// always it was heard before.
func (v verdict) known() bool {
	return v.finding.Event.Fact() && v.finding.Retry.Message.ID == 0 && v.order.Status.Settled() && !v.Alarm
}

// of reports whether the payment is the one that the order is for.
func (t Told) of(o order.Order) bool {
	return t == Told{CustomerID: o.CustomerID, AmountMinor: o.AmountMinor, Currency: o.Currency}
}

// markByHand finds out which of the CANCELLED orders, of whose charge something is heard, were not cancelled by the
// saga. A charge that was never sent says nothing. The saga takes every command out when it cancels, so a CHARGE that
// is left without a VOID means that somebody went past it. So does an operator's decision, when the charge was made.
func markByHand(ctx context.Context, tx pgx.Tx, findings []Finding, locked map[string]held) error {
	var ids []string
	var charged []bool
	for _, finding := range findings {
		m, made := finding.Retry.Message, finding.Event == order.PaymentCharged
		sent := order.Command(m.Kind) == order.Charge && (m.Claims > 1 || m.Sends > 0 || finding.Delivery.RPC != "")
		if o, ok := locked[m.Key]; ok && o.Status == order.Cancelled && (made || sent) {
			ids, charged = append(ids, o.ID), append(charged, made)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT o.id::text
		FROM unnest($1::uuid[], $2::boolean[]) AS o (id, charged)
		WHERE o.charged AND EXISTS (SELECT FROM audit AS a WHERE a.order_id = o.id AND a.action = 'SETTLE' OFFSET 0)
			OR (SELECT string_agg(c.kind, '') FROM `+Outbox.View()+` AS c WHERE c.key = o.id) = 'CHARGE'`,
		ids, charged)
	if err != nil {
		return fmt.Errorf("ask who cancelled: %w", err)
	}
	byHand, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("ask who cancelled: %w", err)
	}
	for _, id := range byHand {
		o := locked[id]
		o.byHand = true
		locked[id] = o
	}
	return nil
}

// quieten takes the alarm from commands that fail slowly, for ever, and for the same cause, but for the first time and
// each time that the failures have doubled. The attempts are their memory, whichever relays made them.
func quieten(ctx context.Context, tx pgx.Tx, verdicts []verdict) error {
	var ids, codes []string
	var commands []int64
	for _, v := range verdicts {
		if v.Fate == order.RetrySlowly {
			ids, codes = append(ids, v.order.ID), append(codes, v.finding.Retry.Code)
			commands = append(commands, v.finding.Retry.Message.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT s.command_id, (
			SELECT count(*)
			FROM attempts AS a
			WHERE a.order_id = s.order_id AND a.command_id = s.command_id AND a.code = s.code)
		FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS s (order_id, command_id, code)`, ids, commands, codes)
	if err != nil {
		return fmt.Errorf("count failures: %w", err)
	}
	failures := map[int64]int{}
	var command int64
	var before int
	_, err = pgx.ForEachRow(rows, []any{&command, &before}, func() error {
		failures[command] = before + 1
		return nil
	})
	if err != nil {
		return fmt.Errorf("count failures: %w", err)
	}
	for i, v := range verdicts {
		if n := failures[v.finding.Retry.Message.ID]; v.Fate == order.RetrySlowly {
			verdicts[i].Alarm = order.Doubled(n, 1)
		}
	}
	return nil
}
