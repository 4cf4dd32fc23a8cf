package policy

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"hosho/internal/identity"
	"hosho/internal/order"
	"hosho/internal/reload"
	"hosho/internal/rpc"
)

// Guard is a policy whose file may change. Run must be called for that: it looks at the file every ten seconds.
type Guard struct {
	*reload.Kept[*Policy]
}

// Open reads a policy. What is wrong with it is its error.
func Open(file string, log *slog.Logger) (*Guard, error) {
	kept, err := reload.Open("policy", log, func(contents [][]byte, _ *Policy, _ time.Time) (*Policy, error) {
		p, err := Parse(string(contents[0]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return p, nil
	}, file)
	if err != nil {
		return nil, err
	}
	return &Guard{kept}, nil
}

// caller is what a call may do.
type caller struct {
	customers order.Customers // whom it may name
	unnamed   order.Customers // whose orders it may list without naming one
	listsAll  bool
}

type callerKey struct{}

const list = "order.v1.OrderService/ListOrders"

// Authorize is rpc.ServerConfig's. What a stream may do is what the policy says when it begins.
func (g *Guard) Authorize(ctx context.Context, method string) (context.Context, error) {
	id, permission := identity.Of(ctx), strings.TrimPrefix(method, "/")
	policy := g.Load()
	customers, ok := policy.May(id, permission)
	c := caller{customers: customers}
	if permission == list {
		c.unnamed, c.listsAll = policy.May(id, ListAll)
		c.customers, ok = c.customers.And(c.unnamed), ok || c.listsAll
	}
	if !ok {
		return ctx, &rpc.NotAllowed{Message: fmt.Sprintf("%s may not call %s", id, permission)}
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// Customers returns the customers whom a call may name; everybody, where there is no policy.
func Customers(ctx context.Context) order.Customers {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c.customers
	}
	return order.Everybody
}

// Name returns an error when a call may not name a customer; the empty one is everybody. Whom it named the caller
// knows, and no log is to.
func Name(ctx context.Context, customer string) error {
	switch customers := Customers(ctx); {
	case customers.Include(customer):
		return nil
	case customer == "":
		return &rpc.NotAllowed{Message: fmt.Sprintf("%s may not do that for all customers: name one", identity.Of(ctx))}
	}
	return &rpc.NotAllowed{Message: fmt.Sprintf("%s may not do that for this customer", identity.Of(ctx))}
}

// Unnamed returns the customers whose orders a call may list that names none, or an error when it must name one.
func Unnamed(ctx context.Context) (order.Customers, error) {
	c, ok := ctx.Value(callerKey{}).(caller)
	switch {
	case !ok:
		return order.Everybody, nil
	case !c.listsAll:
		return order.Customers{}, &rpc.NotAllowed{Message: fmt.Sprintf(
			"%s may not list the orders of all customers: name one, or have the policy allow %s",
			identity.Of(ctx), ListAll)}
	}
	return c.unnamed, nil
}
