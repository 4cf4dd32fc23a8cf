package policy

import (
	"fmt"
	"strings"
)

// shipped is who may what in a system as it comes: by service, the methods of each identity. Each has all customers.
var shipped = []struct {
	name, who string
	services  map[string][]string
}{
	{"shop", "places orders, and follows those of its customers", map[string][]string{
		"order.v1.OrderService": {"CreateOrder", "CreateOrders", "GetOrder", "ListOrders", "CancelOrder", "WatchOrder"},
	}},
	{"relay", "has payments decided", map[string][]string{
		"payment.v1.PaymentService": {"ProcessPayments", "ChargePayment", "VoidPayment", "GetDatabase"},
	}},
	{"operator", "sees everything, cancels, voids, and decides what no machine can", map[string][]string{
		"order.v1.OrderService": {"GetOrder", "ListOrders", "ListOrders:all", "CancelOrder", "WatchOrder"},
		"payment.v1.PaymentService": {
			"VoidPayment", "GetPayment", "ListPayments", "GetDatabase", "AcceptOrdersDatabase",
		},
		"relay.v1.OutboxService": {
			"ListParked", "ListCommands", "RetryParked", "SettleParked", "ExplainOrder", "GetBacklog",
			"AcceptPaymentsDatabase",
		},
		"event.v1.EventService": {"WatchEvents"},
	}},
	{"reader", "sees everything, and changes nothing", map[string][]string{
		"order.v1.OrderService":     {"GetOrder", "ListOrders", "ListOrders:all", "WatchOrder"},
		"payment.v1.PaymentService": {"GetPayment", "ListPayments", "GetDatabase"},
		"relay.v1.OutboxService":    {"ListParked", "ListCommands", "ExplainOrder", "GetBacklog"},
		"event.v1.EventService":     {"WatchEvents"},
	}},
}

// services are in the order in which a policy names them.
var services = []string{
	"order.v1.OrderService", "payment.v1.PaymentService", "relay.v1.OutboxService", "event.v1.EventService",
}

// Shipped returns the text of the policy of a system as it comes. id makes an identity of a name.
func Shipped(id func(name string) string) string {
	var text strings.Builder
	text.WriteString(`
# Who may call what, and for which customers: an identity, methods, customers, with blanks between them
# and commas between several. A customer is an id, or the beginning of some with a colon at its end (shop1:),
# or * for everybody. What no line allows is refused. The daemons read this file again within ten seconds of a
# change.
`[1:])
	for _, s := range shipped {
		fmt.Fprintf(&text, "\n# %s %s.\n", s.name, s.who)
		for _, service := range services {
			for _, method := range s.services[service] {
				fmt.Fprintf(&text, "%s %s/%s *\n", id(s.name), service, method)
			}
		}
	}
	return text.String()
}

// Names returns those whom Shipped names.
func Names() (names []string) {
	for _, s := range shipped {
		names = append(names, s.name)
	}
	return names
}
