package orderdb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Finding is what a relay found out about one command of an order.
type Finding struct {
	Event    order.Event
	Told     Told          // the payment that an OK reply tells of; what is stored under a key counts only with it
	Longest  time.Duration // the longest wait before such a command is tried again
	Retry    outbox.Retry  // the command, and how it goes on if it is to be tried again
	Delivery Delivery      // how that was found out: recorded, unless it is implied
}

// Told is whose payment an OK reply tells of, and how much it is.
type Told struct {
	CustomerID  string
	AmountMinor int64
	Currency    string
}

// Change is what a finding did to its order.
type Change struct {
	OrderID string
	From    order.Status
	To      order.Status // From when nothing changed
	Reason  order.CancelReason
	// The order's total.
	AmountMinor int64
	Currency    string

	Event order.Event // what was found out, when it was held against the order
	Code  string      // what the delivery came to
	Alarm bool        // a person should look
	Trace *string     // W3C trace context of the command; nil if it has none
	Told  bool        // those who watch the order are told; if not, that is the caller's to do
}

// Settlement is what Settle did.
type Settlement struct {
	Changes []Change // of those findings that changed a status or raise an alarm
	Later   []int    // indexes of findings that were not applied: somebody else has their orders, or they come twice
	More    bool     // commands were appended or rescheduled
	Vain    []Vain   // voids that have failed, and go on

	// Of what was heard (Hear): indexes of what changes nothing, of what was known before, and of what is about no
	// order that there is.
	Idle, Known, Unknown []int
}

// Settle applies findings: each order's compare-and-set, what becomes of its commands, and the record of the attempts,
// in one transaction. Those that say that a PENDING order is paid go ahead of the others, in a transaction of their own
// that is one statement. Either locks the orders first, by id, then the outbox, as everybody does. Applying a finding
// twice changes nothing the second time.
//
// Along with an error Settle returns what it did before: the findings that were applied then are no news the next time.
func (s *Store) Settle(ctx context.Context, findings []Finding) (done Settlement, err error) {
	settled, told, err := s.settlePaid(ctx, findings)
	if err != nil {
		return Settlement{}, err
	}
	if len(settled) > 0 {
		done.Changes = changesOfPaid(findings, settled, told)
		failpoint.Here(failpoint.SettleCommitted)
	}
	if len(settled) == len(findings) {
		return done, nil
	}
	judged, err := s.settleJudged(ctx, findings, settled)
	judged.Changes = append(done.Changes, judged.Changes...)
	return judged, err
}

// settleJudged applies the findings that are not settled yet, each as it is judged.
func (s *Store) settleJudged(ctx context.Context, findings []Finding, settled []int) (Settlement, error) {
	slices.Sort(settled)
	rest, at := make([]Finding, 0, len(findings)), make([]int, 0, len(findings))
	for i, finding := range findings {
		if _, found := slices.BinarySearch(settled, i); !found {
			rest, at = append(rest, finding), append(at, i)
		}
	}
	var done Settlement
	var statuses []left
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		done, statuses, err = s.settle(ctx, tx, rest)
		return err
	})
	if err != nil {
		return Settlement{}, fmt.Errorf("settle %d findings: %w", len(rest), err)
	}
	for _, l := range statuses {
		s.metrics.leave(l.from, l.now, l.at)
	}
	for i, later := range done.Later {
		done.Later[i] = at[later]
	}
	failpoint.Here(failpoint.SettleCommitted)
	return done, nil
}

func (s *Store) settle(
	ctx context.Context, tx pgx.Tx, findings []Finding,
) (done Settlement, statuses []left, err error) {
	keys := make([]string, len(findings))
	for i, finding := range findings {
		keys[i] = finding.Retry.Message.Key
	}
	locked, err := lockAll(ctx, tx, keys)
	if err != nil {
		return done, nil, err
	}
	return s.apply(ctx, tx, findings, locked)
}

// apply applies findings to those of their orders that are locked.
func (s *Store) apply(
	ctx context.Context, tx pgx.Tx, findings []Finding, locked map[string]held,
) (done Settlement, statuses []left, err error) {
	if err := markByHand(ctx, tx, findings, locked); err != nil {
		return done, nil, err
	}
	var verdicts []verdict
	for i, finding := range findings {
		o, ok := locked[finding.Retry.Message.Key]
		if !ok {
			done.Later = append(done.Later, i)
			continue
		}
		delete(locked, o.ID) // one finding an order a transaction
		v, err := judge(o, finding)
		if err != nil {
			return done, nil, err
		}
		if v.known() {
			done.Known = append(done.Known, i)
		}
		verdicts = append(verdicts, v)
	}
	if err := quieten(ctx, tx, verdicts); err != nil {
		return done, nil, err
	}
	plan := plan{encode: s.encode}
	for _, v := range verdicts {
		if err := plan.add(v); err != nil {
			return done, nil, err
		}
	}
	done.Changes, done.More = plan.changes, len(plan.appended)+len(plan.retried) > 0
	if err := plan.write(ctx, tx); err != nil {
		return done, nil, err
	}
	done.Vain, err = vain(ctx, tx, plan.failed)
	return done, plan.done(), err
}

// lockAll takes orders. Those that somebody else has locked are passed over, so that they hold up nobody: a customer's
// cancel, or a person in psql.
func lockAll(ctx context.Context, tx pgx.Tx, ids []string) (map[string]held, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+orderColumns+`, deadline_at > clock_timestamp() AS early
		FROM orders
		WHERE id = ANY($1::uuid[])
		ORDER BY id
		FOR UPDATE SKIP LOCKED`, ids)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	type lockedRow struct {
		row
		Early bool
	}
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[lockedRow])
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	locked := make(map[string]held, len(orders))
	for _, r := range orders {
		locked[r.ID] = held{Order: r.order(), early: r.Early}
	}
	return locked, nil
}
