package reconcile

import (
	"context"

	"hosho/internal/order"
)

// loneCommands finds commands whose orders do not exist. An order and its first command are written together, so one
// snapshot is enough. One that was delivered has left a payment without an order: while that holds money it was found
// as that, and otherwise the command is what is left to be looked at. The keys of the others are given to rest; nil:
// they were compared.
func (s *sweep) loneCommands(ctx context.Context, rest func(context.Context, []string) error) error {
	for after, more := int64(0), true; more; {
		commands, err := commandsAfter(ctx, s.orders, after, s.options.Window)
		if err != nil {
			return err
		}
		if more = len(commands) == s.options.Window; more {
			after = commands[len(commands)-1].ID
		}
		if rest != nil {
			var keys []string
			for _, c := range commands {
				if c.Ordered {
					keys = append(keys, c.Key)
				}
			}
			if err := rest(ctx, keys); err != nil {
				return err
			}
		}
		if err := s.judgeLone(ctx, commands); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweep) judgeLone(ctx context.Context, commands []lone) error {
	cases := map[string]Case{}
	var ids []string
	for _, b := range commands {
		if b.Ordered {
			continue
		}
		c, seen := cases[b.Key]
		if !seen {
			ids = append(ids, b.Key)
		}
		if b.Kind == order.Charge {
			c.Charge = &Command{}
		} else {
			c.Void = &Command{}
		}
		cases[b.Key] = c
	}
	if len(ids) == 0 {
		return nil
	}
	payments, err := paymentsOf(ctx, s.payments, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c := cases[id]
		if c.Payment = payments[id]; c.Payment != nil && !c.Payment.sealed() {
			continue
		}
		if err := s.judge(ctx, id, c); err != nil {
			return err
		}
	}
	return nil
}
