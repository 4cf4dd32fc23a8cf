package chaos

import (
	"context"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/wait"
)

// mostTampered is how many commands are changed at a time.
const mostTampered = 5

// tamperWithOutbox changes commands that wait. The relays stand still meanwhile, so that there are some.
func tamperWithOutbox(ctx context.Context, s *system, random *rand.Rand) error {
	s.logs.expectAlarms()
	s.owesRetries.Store(true) // what was found out only by its reply is parked
	for {
		for _, p := range s.Relays {
			p.Signal(syscall.SIGSTOP)
		}
		wait.For(ctx, span(random, 100*time.Millisecond, 300*time.Millisecond))
		err := s.tamper(context.WithoutCancel(ctx))
		for _, p := range s.Relays {
			p.Signal(syscall.SIGCONT)
		}
		if err != nil || !wait.For(ctx, span(random, 200*time.Millisecond, 500*time.Millisecond)) {
			return err
		}
	}
}

// tamper has commands be about an amount of 1, of somebody else. The key stays, or nothing would come of them.
func (s *system) tamper(ctx context.Context) error {
	rows, _ := s.orders.Query(ctx, `
		SELECT b.id, b.kind, o.id::text AS order_id, o.deadline_at
		FROM outbox AS b JOIN orders AS o ON o.id = b.key
		ORDER BY random()
		LIMIT $1`, mostTampered) // CollectRows returns the error
	type waiting struct {
		ID         int64
		Kind       order.Command
		OrderID    string
		DeadlineAt time.Time
	}
	commands, err := pgx.CollectRows(rows, pgx.RowToStructByName[waiting])
	if err != nil {
		return err
	}
	for _, c := range commands {
		payload, err := command.Encode(c.Kind, order.Order{
			ID: c.OrderID, CustomerID: "mallory", AmountMinor: 1, Currency: "JPY", DeadlineAt: c.DeadlineAt,
		})
		if err != nil {
			return err
		}
		_, err = s.orders.Exec(ctx, `UPDATE outbox SET payload = $2 WHERE id = $1`, c.ID, payload)
		if err != nil {
			return err
		}
	}
	return nil
}
