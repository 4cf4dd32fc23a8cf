package main

import (
	"context"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/policy"
	"hosho/internal/validate"
)

// naming is a request about one order, which may say whose it is to be.
type naming interface {
	GetOrderId() string
	GetCustomerId() string
}

// fromNaming returns the order's id, and the customers among whose orders a call looks for it: those whom it may name,
// or the one whom it does. named is the request's field, nil where it names none.
func fromNaming(ctx context.Context, r naming, named *string) (id string, of order.Customers, err error) {
	var f validate.Fields
	id = f.UUID("order_id", r.GetOrderId())
	if named != nil {
		f.ID("customer_id", *named)
	}
	if err := f.Err(); err != nil {
		return "", of, err
	}
	if named == nil {
		return id, policy.Customers(ctx), nil
	}
	return id, order.Customers{Exact: []string{*named}}, policy.Name(ctx, *named)
}

// listed returns the customers whose orders a call lists: those whom it may name, where it does, and else those whom it
// need not name.
func listed(ctx context.Context, f orderdb.Filter) (order.Customers, error) {
	if f.CustomerID == "" {
		return policy.Unnamed(ctx)
	}
	return policy.Customers(ctx), policy.Name(ctx, f.CustomerID)
}
