package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/lab/load"
	"hosho/internal/order"
	"hosho/internal/wait"
)

const (
	backlogOrders = 1_000_000
	backlogShort  = 1000 // commands: then it is drained, and what is left is the customers' own
	backlogTime   = 30 * time.Minute
	backlogLook   = time.Second // how often to look
)

// backlog has a million orders due at once, as after a long day without a relay, and ends when they are drained.
func backlog(ctx context.Context, s *system, _ *rand.Rand) error {
	if err := s.placeMany(ctx, backlogOrders); err != nil {
		return fmt.Errorf("place a million orders: %w", err)
	}
	for left := backlogOrders; left > backlogShort; {
		if !wait.For(ctx, backlogLook) {
			return fmt.Errorf("not drained in time: %d commands are left", left)
		}
		if err := s.orders.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&left); err != nil {
			return err
		}
	}
	return nil
}

// placeMany writes orders with their commands, all in one transaction.
func (s *system) placeMany(ctx context.Context, n int) error {
	deadline := time.Now().Add(4 * backlogTime).Truncate(time.Microsecond)
	items := []order.Item{{Name: load.Item, Quantity: 1, UnitPrice: 1200}}
	orders := make([]order.Order, n)
	for i := range orders {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		orders[i] = order.Order{
			ID: id.String(), CustomerID: load.Customer + "many", AmountMinor: 1200, Currency: "JPY",
			DeadlineAt: deadline,
		}
	}
	err := pgx.BeginFunc(ctx, s.orders, func(tx pgx.Tx) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{
			"id", "customer_id", "items", "amount_minor", "currency", "deadline_at",
		},
			pgx.CopyFromSlice(n, func(i int) ([]any, error) {
				o := orders[i]
				return []any{o.ID, o.CustomerID, items, o.AmountMinor, o.Currency, o.DeadlineAt}, nil
			}))
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"outbox"}, []string{"key", "kind", "payload", "expires_at"},
			pgx.CopyFromSlice(n, func(i int) ([]any, error) {
				payload, err := command.Encode(order.Charge, orders[i])
				return []any{orders[i].ID, string(order.Charge), payload, orders[i].DeadlineAt}, err
			}))
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.orders.Exec(ctx, `ANALYZE orders, outbox`) // as after any load in bulk: nobody else has counted yet
	return err
}
