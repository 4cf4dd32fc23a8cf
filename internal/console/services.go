package console

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/rpc"
	"hosho/internal/story"
)

// services are whom a page asks, each the first of its kind that answers: any of them speaks for all.
func (c *Console) services() story.Services {
	return story.Services{
		Orders:   orderv1.NewOrderServiceClient(c.any(story.Orderd)),
		Payments: paymentv1.NewPaymentServiceClient(c.any(story.Paymentd)),
		Outbox:   relayv1.NewOutboxServiceClient(c.any(story.Relay)),
	}
}

func (c *Console) any(service string) anyOf {
	a := anyOf{service: service}
	for _, d := range c.config.Daemons {
		if d.Service == service {
			a.conns = append(a.conns, d.Conn)
		}
	}
	return a
}

// anyOf is a connection to the first of some daemons that answers.
type anyOf struct {
	service string
	conns   []grpc.ClientConnInterface
}

// Invoke asks the next one as long as nobody answers. Its error is that of the last one.
func (a anyOf) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	err := fmt.Errorf("this console was given no %s to ask", a.service)
	for _, conn := range a.conns {
		if err = conn.Invoke(ctx, method, request, reply, options...); !rpc.Unreached(err) {
			return err
		}
	}
	return err
}

// NewStream is of no page.
func (a anyOf) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("a page asks %s, and follows it not", a.service)
}
