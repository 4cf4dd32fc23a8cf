package load

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
)

// Many is orders that are written into the orders database by hand, all in one transaction, as if they had been placed
// while no relay was at work.
type Many struct {
	N        int
	Customer string
	Deadline time.Time
	Parked   bool // their commands wait for a person, as nothing else does
}

// Place writes the orders with their commands, and returns the orders' ids.
func (m Many) Place(ctx context.Context, db *pgxpool.Pool) ([]string, error) {
	const amount = 1200
	deadline := m.Deadline.Truncate(time.Microsecond)
	items := []order.Item{{Name: Item, Quantity: 1, UnitPrice: amount}}
	ids := make([]string, m.N)
	for i := range ids {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		ids[i] = id.String()
	}
	var parkedAt *time.Time
	if m.Parked {
		now := time.Now()
		parkedAt = &now
	}
	return ids, pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{
			"id", "customer_id", "items", "amount_minor", "currency", "deadline_at",
		},
			pgx.CopyFromSlice(m.N, func(i int) ([]any, error) {
				return []any{ids[i], m.Customer, items, amount, "JPY", deadline}, nil
			}))
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"outbox"}, []string{
			"key", "kind", "payload", "expires_at", "parked_at",
		},
			pgx.CopyFromSlice(m.N, func(i int) ([]any, error) {
				payload, err := command.Encode(order.Charge, order.Order{
					ID: ids[i], CustomerID: m.Customer, AmountMinor: amount, Currency: "JPY", DeadlineAt: deadline,
				})
				return []any{ids[i], string(order.Charge), payload, deadline, parkedAt}, err
			}))
		return err
	})
}
