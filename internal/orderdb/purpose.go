package orderdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Purpose is what a command in hand is there for, as the orders database has it.
type Purpose struct {
	Order *order.Order // nil: there is none; otherwise without its items and the times of its changes
	Late  bool         // its deadline has passed, by the database's clock
}

// Purposes reads, at one moment, what commands are there for, in their order. It locks nothing: what it returns is the
// past already, and only good for keeping back what must not be sent. The items stay where they are, so that no order
// whose items are damaged keeps the others.
func (s *Store) Purposes(ctx context.Context, commands []outbox.Message) ([]Purpose, error) {
	keys := make([]string, len(commands))
	for i, c := range commands {
		keys[i] = c.Key
	}
	// OFFSET 0 keeps the lookup of the order a lookup, whatever the statistics say.
	rows, err := pg.Query(ctx, s.pool, `
		SELECT o.id::text, o.customer_id, o.amount_minor, o.currency, o.status, o.deadline_at,
			coalesce(o.deadline_at <= clock_timestamp(), false) AS late
		FROM unnest($1::uuid[]) WITH ORDINALITY AS c (key, place)
		LEFT JOIN LATERAL (
			SELECT id, customer_id, amount_minor, currency, status, deadline_at
			FROM orders
			WHERE orders.id = c.key
			OFFSET 0
		) AS o ON true
		ORDER BY c.place`, keys)
	if err != nil {
		return nil, fmt.Errorf("read what %d commands are for: %w", len(commands), err)
	}
	purposes, err := pgx.CollectRows(rows, scanPurpose)
	if err != nil {
		return nil, fmt.Errorf("read what %d commands are for: %w", len(commands), err)
	}
	return purposes, nil
}

func scanPurpose(r pgx.CollectableRow) (p Purpose, err error) {
	var (
		id, customer, currency *string
		status                 *order.Status
		amount                 *int64
		deadline               *time.Time
	)
	err = r.Scan(&id, &customer, &amount, &currency, &status, &deadline, &p.Late)
	if err == nil && id != nil {
		p.Order = &order.Order{
			ID: *id, CustomerID: *customer, AmountMinor: *amount, Currency: *currency, Status: *status,
			DeadlineAt: *deadline,
		}
	}
	return p, err
}

// SetAside parks commands that there is no order for. Nothing is changed but the outbox, and no order is locked: there
// is none.
func (s *Store) SetAside(ctx context.Context, commands []outbox.Message, code string) error {
	codes := make([]string, len(commands))
	for i := range codes {
		codes[i] = code
	}
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error { return Outbox.Park(ctx, tx, commands, codes) })
	if err != nil {
		return fmt.Errorf("set %d commands aside: %w", len(commands), err)
	}
	return nil
}
