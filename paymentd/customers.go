package main

import (
	"context"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/policy"
)

// allow refuses commands about customers whom the caller may not name, whatever is stored under their keys. A stream's
// are held against what was allowed when it began.
func allow(ctx context.Context, commands []command) {
	if policy.Customers(ctx).All {
		return
	}
	for i := range commands {
		if c := &commands[i]; c.refused == nil {
			c.refused = policy.Name(ctx, c.asked.CustomerID)
		}
	}
}

// known returns ErrNotFound for a payment of a customer whom the caller may not name: to him there is none.
func known(ctx context.Context, p payment.Payment) error {
	if policy.Customers(ctx).Include(p.CustomerID) {
		return nil
	}
	return paymentdb.ErrNotFound
}

// listed returns an error when a call may not list what it asks for. Only who may name everybody may name nobody.
func listed(ctx context.Context, f paymentdb.Filter) error {
	if f.CustomerID == "" && policy.Customers(ctx).All {
		return nil
	}
	return policy.Name(ctx, f.CustomerID)
}
