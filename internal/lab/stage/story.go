package stage

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

// story tells nobody what the players do: the daemons' events tell it.
type story struct{ orders *pgxpool.Pool }

// Note is part of demo.Story.
func (story) Note(string, string, string) {}

// Watch is part of demo.Story.
func (story) Watch(string) {}

const deliveryPoll = 20 * time.Millisecond

// AwaitDelivery reads the outbox until the order's command says what a delivery came to, or is gone.
func (s story) AwaitDelivery(ctx context.Context, orderID string) error {
	for {
		var tried bool
		err := s.orders.QueryRow(ctx, `
			SELECT NOT EXISTS (SELECT FROM outbox WHERE key = $1 AND last_code IS NULL)`, orderID).Scan(&tried)
		if err != nil {
			return fmt.Errorf("wait for a delivery: %w", err)
		}
		if tried {
			return nil
		}
		if !wait.For(ctx, deliveryPoll) {
			return ctx.Err()
		}
	}
}
