// Package policy is who may call what, and for which customers, as a file says it.
//
// Its promise: what no line of the file allows is refused. A file that says anything else than a policy is no policy,
// and each line that is wrong is told.
//
// A line is an identity, the methods that it may call, and the customers whom it may name, with blanks between the
// three and commas between several; what follows a # is for people. An identity may have several lines.
//
//	spiffe://example.org/shop      order.v1.OrderService/CreateOrder,order.v1.OrderService/GetOrder   shop1:,shop2
//	spiffe://example.org/operator  order.v1.OrderService/ListOrders:all                               *
//
// A customer is an exact id, or all whose ids begin with one that ends in a colon; * is everybody.
package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/identity"
	"hosho/internal/order"
	"hosho/internal/validate"
)

// ListAll is the permission to list the orders of everybody that one may name, without naming a customer.
const ListAll = "order.v1.OrderService/ListOrders:all"

// Policy is what a file allows. The nil Policy allows everything: there is none, and there are no identities.
type Policy struct {
	allowed map[string]map[string]order.Customers // by identity and permission
}

// Permissions returns all that can be allowed: each method of each service, and ListAll. WatchEvents is one permission,
// whichever daemon is watched.
func Permissions() []string {
	all := []string{ListAll}
	for _, service := range []grpc.ServiceDesc{
		orderv1.OrderService_ServiceDesc, paymentv1.PaymentService_ServiceDesc, relayv1.OutboxService_ServiceDesc,
		eventv1.EventService_ServiceDesc,
	} {
		for _, m := range service.Methods {
			all = append(all, service.ServiceName+"/"+m.MethodName)
		}
		for _, m := range service.Streams {
			all = append(all, service.ServiceName+"/"+m.StreamName)
		}
	}
	slices.Sort(all)
	return all
}

// Parse reads a policy. Its error tells each line that is wrong.
func Parse(text string) (*Policy, error) {
	p := &Policy{allowed: map[string]map[string]order.Customers{}}
	known := Permissions()
	var wrong []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		rule, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(rule)
		if len(fields) == 0 {
			continue
		}
		if err := p.add(fields, known); err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n, err))
		}
	}
	if len(wrong) == 0 && len(p.allowed) == 0 {
		wrong = append(wrong, errors.New("no line allows anything"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return p, nil
}

// add reads a line.
func (p *Policy) add(fields, known []string) error {
	if len(fields) != 3 {
		return fmt.Errorf("got %d fields, want an identity, methods, and customers", len(fields))
	}
	id, err := identity.Parse(fields[0])
	if err != nil {
		return err
	}
	customers, err := readCustomers(fields[2])
	if err != nil {
		return err
	}
	if p.allowed[id] == nil {
		p.allowed[id] = map[string]order.Customers{}
	}
	for permission := range strings.SplitSeq(fields[1], ",") {
		if !slices.Contains(known, permission) {
			return fmt.Errorf("got the method %q, want one of %s", permission, strings.Join(known, ", "))
		}
		p.allowed[id][permission] = p.allowed[id][permission].And(customers)
	}
	return nil
}

func readCustomers(text string) (c order.Customers, err error) {
	for id := range strings.SplitSeq(text, ",") {
		var f validate.Fields
		switch {
		case id == "*":
			c.All = true
			continue
		case strings.HasSuffix(id, ":"):
			c.Prefixes = append(c.Prefixes, id)
		default:
			c.Exact = append(c.Exact, id)
		}
		f.ID("customer", id)
		if err := f.Err(); err != nil {
			return c, fmt.Errorf(
				"got the customer %q, want an id, the beginning of some with a colon at its end, or *: %w", id, err)
		}
	}
	return c, nil
}

// May returns the customers whom an identity may name in the calls of a method, and whether it may call it at all.
func (p *Policy) May(id, permission string) (order.Customers, bool) {
	if p == nil {
		return order.Everybody, true
	}
	customers, ok := p.allowed[id][permission]
	return customers, ok
}

// Identities returns who may call anything.
func (p *Policy) Identities() []string { return slices.Sorted(maps.Keys(p.allowed)) }
