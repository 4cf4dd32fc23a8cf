package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"hosho/internal/lab/load"
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
	many := load.Many{N: n, Customer: load.Customer + "many", Deadline: time.Now().Add(4 * backlogTime)}
	if _, err := many.Place(ctx, s.orders); err != nil {
		return err
	}
	_, err := s.orders.Exec(ctx, `ANALYZE orders, outbox`) // as after any load in bulk: nobody else has counted yet
	return err
}
