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

// Heard is what an event of the payments says of an order: what is stored, or that a command was refused.
type Heard struct {
	OrderID string
	Kind    order.Command // the command that it is about; empty: that which the order waits for
	Refused int           // which send of that command was refused; 0: none was
	// Finding is what it comes to for the command as it is in the outbox now. ID 0: it is not there.
	Finding func(outbox.Message) Finding
}

// Hear is Settle for what events of the payments say. They come however often, late, and in any order, and nobody holds
// the commands that they are about. So an order is locked first, and then its command is read: attempts, sends and the
// token are those of now.
//
// What is stored is applied as ever. A refusal counts once, and only while no later send than the one that was refused
// was handed over: a duplicate spends nothing.
func (s *Store) Hear(ctx context.Context, heard []Heard) (done Settlement, err error) {
	rest, err := s.hearPaid(ctx, heard, &done)
	if err != nil || len(rest) == 0 {
		return done, err
	}
	var judged Settlement
	var statuses []left
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		judged, statuses, err = s.hear(ctx, tx, heard, rest)
		return err
	})
	if err != nil {
		return done, fmt.Errorf("settle by %d events: %w", len(rest), err)
	}
	for _, l := range statuses {
		s.metrics.leave(l.from, l.now, l.at)
	}
	judged.Changes = append(done.Changes, judged.Changes...)
	failpoint.Here(failpoint.SettleCommitted)
	return judged, nil
}

// hearPaid applies what nearly every event is, with one statement, and returns where the others stand. Those of orders
// that are traced have their deliveries recorded, which takes their commands.
func (s *Store) hearPaid(ctx context.Context, heard []Heard, done *Settlement) (rest []int, err error) {
	var findings []Finding
	var at []int
	for i, h := range heard {
		if h.Refused == 0 {
			f := h.Finding(outbox.Message{Key: h.OrderID, Kind: string(order.Charge), Claims: 1})
			if f.Event == order.PaymentCharged && !f.Delivery.Traced {
				findings, at = append(findings, f), append(at, i)
				continue
			}
		}
		rest = append(rest, i)
	}
	settled, told, err := s.settlePaid(ctx, findings)
	if err != nil {
		return nil, err
	}
	applied := make([]bool, len(findings))
	for _, place := range settled {
		applied[place] = true
	}
	for i, place := range at {
		if !applied[i] {
			rest = append(rest, place)
		}
	}
	if len(settled) > 0 {
		done.Changes = changesOfPaid(findings, settled, told)
		failpoint.Here(failpoint.SettleCommitted)
	}
	return rest, nil
}

// hear applies those of the events that stand at some places.
func (s *Store) hear(
	ctx context.Context, tx pgx.Tx, heard []Heard, places []int,
) (done Settlement, statuses []left, err error) {
	keys := make([]string, len(places))
	for i, place := range places {
		keys[i] = heard[place].OrderID
	}
	locked, err := lockAll(ctx, tx, keys)
	if err != nil {
		return done, nil, err
	}
	found, err := lockCommands(ctx, tx, locked)
	if err != nil {
		return done, nil, err
	}
	var findings []Finding
	var at, missing []int
	for _, place := range places {
		h := &heard[place]
		o, ok := locked[h.OrderID]
		if !ok {
			missing = append(missing, place)
			continue
		}
		f, counts := h.finding(found[commandOf{o.ID, h.command(o.Status)}], o.Status)
		if !counts {
			done.Idle = append(done.Idle, place)
			continue
		}
		findings, at = append(findings, f), append(at, place)
	}
	unknown, later, err := parted(ctx, tx, heard, missing)
	if err != nil {
		return done, nil, err
	}
	applied, statuses, err := s.apply(ctx, tx, findings, locked)
	if err != nil {
		return done, nil, err
	}
	for _, i := range applied.Later {
		later = append(later, at[i])
	}
	for i, known := range applied.Known {
		applied.Known[i] = at[known]
	}
	applied.Later, applied.Idle, applied.Unknown = later, done.Idle, unknown
	return applied, statuses, nil
}

// commandOf names a command.
type commandOf struct {
	orderID string
	kind    order.Command
}

// lockCommands returns the commands of orders that are locked.
func lockCommands(ctx context.Context, tx pgx.Tx, locked map[string]held) (map[commandOf]outbox.Locked, error) {
	keys := make([]string, 0, len(locked))
	for id := range locked {
		keys = append(keys, id)
	}
	found, err := Outbox.Lock(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	all := make(map[commandOf]outbox.Locked, len(found))
	for _, c := range found {
		all[commandOf{c.Key, order.Command(c.Kind)}] = c
	}
	return all, nil
}

// command returns the kind of the command that is meant, of an order in a status.
func (h *Heard) command(s order.Status) order.Command {
	switch {
	case h.Kind != "":
		return h.Kind
	case s == order.Pending:
		return order.Charge
	}
	return order.Void
}

// finding returns what it comes to for its command, and false when it counts for nothing.
func (h *Heard) finding(c outbox.Locked, s order.Status) (f Finding, counts bool) {
	if c.ID == 0 {
		c.Key, c.Kind = h.OrderID, string(h.command(s))
	}
	if h.Refused == 0 {
		f = h.Finding(c.Message)
		f.Retry.Answered, f.Retry.Stays = false, true // nobody says which send it answers
		return f, true
	}
	if c.ID == 0 || c.Parked || h.Refused < c.Sends || h.Refused <= c.Refused {
		return f, false
	}
	// One that comes before its hand-over is written is the answer of the claim: nobody has to write that any more.
	// Else the claim is that of the next send, which is to have a number of its own in the record.
	answers := c.LeaseToken != nil && c.Sends < h.Refused
	if c.LeaseToken != nil && !answers {
		c.Claims--
	}
	f = h.Finding(c.Message)
	f.Retry.Refused, f.Retry.Answered, f.Retry.Stays = h.Refused, answers, !answers
	return f, true
}

// parted parts what is about orders that there are not from what is about those that somebody has locked.
func parted(ctx context.Context, tx pgx.Tx, heard []Heard, missing []int) (unknown, later []int, err error) {
	if len(missing) == 0 {
		return nil, nil, nil
	}
	ids := make([]string, len(missing))
	for i, place := range missing {
		ids[i] = heard[place].OrderID
	}
	rows, err := tx.Query(ctx, `
		SELECT EXISTS (SELECT FROM orders WHERE orders.id = k.id OFFSET 0)
		FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, place)
		ORDER BY place`, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("ask which orders there are: %w", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return nil, nil, fmt.Errorf("ask which orders there are: %w", err)
	}
	for i, place := range missing {
		if there[i] {
			later = append(later, place)
		} else {
			unknown = append(unknown, place)
		}
	}
	return unknown, later, nil
}

// HandOver notes that commands were handed over to a broker. No order changes.
func (s *Store) HandOver(ctx context.Context, handed []outbox.Handed) error {
	return Outbox.HandOver(ctx, s.pool, handed)
}

// Identity returns which orders database this is.
func (s *Store) Identity(ctx context.Context) (id string, err error) {
	rows, err := pg.Query(ctx, s.pool, `SELECT id::text FROM database_identity`)
	if err == nil {
		id, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	}
	if err != nil {
		return "", fmt.Errorf("ask the orders database who it is: %w", err)
	}
	return id, nil
}
