package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/identity"
	"hosho/internal/plain"
	"hosho/internal/rpc"
	"hosho/internal/story"
)

// orderd is the flag that names an orderd.
type orderd struct {
	Orderd string `default:"127.0.0.1:50051" env:"ORDERD" help:"The gRPC address of an orderd."`

	OrderdIdentity string `env:"SAGACTL_ORDERD_IDENTITY" placeholder:"URI" help:"Who it is; else your domain's."`

	certificate *certificate
}

// AfterApply is called by kong.
func (o *orderd) AfterApply(c *certificate) error {
	o.certificate = c
	return c.expects("orderd-identity", o.OrderdIdentity)
}

// Validate is called by kong.
func (o orderd) Validate() error { return addressed(story.Orderd, o.Orderd) }

func (o orderd) as() grpc.DialOption { return o.certificate.to(story.Orderd, o.OrderdIdentity) }

func (o orderd) orders() (orderv1.OrderServiceClient, error) {
	conn, err := reach(story.Orderd, o.Orderd, o.as())
	return orderv1.NewOrderServiceClient(conn), err
}

// paymentd is the flag that names a paymentd.
type paymentd struct {
	Paymentd string `default:"127.0.0.1:50052" env:"PAYMENTD" help:"The gRPC address of a paymentd."`

	PaymentdIdentity string `env:"SAGACTL_PAYMENTD_IDENTITY" placeholder:"URI" help:"Who it is; else your domain's."`

	certificate *certificate
}

// AfterApply is called by kong.
func (p *paymentd) AfterApply(c *certificate) error {
	p.certificate = c
	return c.expects("paymentd-identity", p.PaymentdIdentity)
}

// Validate is called by kong.
func (p paymentd) Validate() error { return addressed(story.Paymentd, p.Paymentd) }

func (p paymentd) as() grpc.DialOption { return p.certificate.to(story.Paymentd, p.PaymentdIdentity) }

func (p paymentd) payments() (paymentv1.PaymentServiceClient, error) {
	conn, err := reach(story.Paymentd, p.Paymentd, p.as())
	return paymentv1.NewPaymentServiceClient(conn), err
}

// relay is the flag that names relays.
type relay struct {
	Relay []string `default:"127.0.0.1:50053" env:"RELAY" help:"The gRPC address of a relay, or of several."`

	RelayIdentity string `env:"SAGACTL_RELAY_IDENTITY" placeholder:"URI" help:"Who it is; else your domain's."`

	certificate *certificate
}

// AfterApply is called by kong.
func (r *relay) AfterApply(c *certificate) error {
	r.certificate = c
	return c.expects("relay-identity", r.RelayIdentity)
}

// Validate is called by kong.
func (r relay) Validate() error { return addressed(story.Relay, r.Relay...) }

func (r relay) as() grpc.DialOption { return r.certificate.to(story.Relay, r.RelayIdentity) }

// outbox asks the first relay that can be reached: each of them speaks for all.
func (r relay) outbox() (relayv1.OutboxServiceClient, error) {
	if len(r.Relay) == 1 {
		conn, err := reach(story.Relay, r.Relay[0], r.as())
		return relayv1.NewOutboxServiceClient(conn), err
	}
	all := strings.Join(r.Relay, ", ")
	conn, err := reachAt("passthrough:///"+all, story.Relay, all, r.as(), grpc.WithContextDialer(r.reach))
	return relayv1.NewOutboxServiceClient(conn), err
}

// reach connects to the first relay that can be reached. Its error is that of the last one.
func (r relay) reach(ctx context.Context, _ string) (conn net.Conn, err error) {
	for _, address := range r.Relay {
		var dialer net.Dialer
		if conn, err = dialer.DialContext(ctx, "tcp", address); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// expects returns an error when a flag that is given is no identity, or nobody can tell whether it is the daemon's.
func (c *certificate) expects(flag, text string) error {
	if text == "" {
		return nil
	}
	if c.keeper == nil {
		return fmt.Errorf("--%s: without --tls-cert, --tls-key and --tls-ca nobody can tell who that is", flag)
	}
	if _, err := identity.Parse(text); err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	return nil
}

// addressed returns an error when an address is none.
func addressed(service string, addresses ...string) error {
	if len(addresses) == 0 { // of a variable that is set and empty
		addresses = []string{""}
	}
	for _, address := range addresses {
		if err := rpc.CheckTarget(address); err != nil {
			return fmt.Errorf("--%s (%s): %w", service, strings.ToUpper(service), err)
		}
	}
	return nil
}

// callTimeout bounds one call.
const callTimeout = 10 * time.Second

// reach returns a connection whose calls are bounded, and whose errors say in words what they mean to the person who
// asked. It lasts as long as the command. What streams is neither bounded nor put in words.
func reach(service, address string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return reachAt(address, service, address, options...)
}

// reachAt is reach of a target that people know by another address.
func reachAt(target, service, address string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return rpc.Dial(target, append(options, grpc.WithUnaryInterceptor(func(
		ctx context.Context, method string, request, reply any,
		conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return inWords(service, address, invoke(ctx, method, request, reply, conn, options...))
	}))...)
}

// serviceError is an error of a service, or of the way there, in words that are plain. Its status is that of the error.
type serviceError struct {
	text string
	err  error
}

func (e serviceError) Error() string { return plain.Text(e.text) }
func (e serviceError) Unwrap() error { return e.err }

// unanswered are the reasons of a call for which its own deadline came first, whoever noticed.
var unanswered = []string{"", rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_DEADLINE_PASSED)}

func inWords(service, address string, err error) error {
	if err == nil {
		return nil
	}
	switch code := status.Code(err); {
	case rpc.Unreached(err):
		return serviceError{fmt.Sprintf(
			"there is no %s at %s (%s): \"sagactl up\" starts a system, --%s or %s says where else one is",
			service, address, reachError(err), service, strings.ToUpper(service)), err}
	case code == codes.DeadlineExceeded && slices.Contains(unanswered, rpc.Reason(err)):
		return serviceError{fmt.Sprintf("%s at %s did not answer within %v", service, address, callTimeout), err}
	case code == codes.Unimplemented:
		return serviceError{fmt.Sprintf("at %s is another service than %s, or another version of it (%s)",
			address, service, status.Convert(err).Message()), err}
	default:
		text := fmt.Sprintf("%s at %s answers %s: %s", service, address, code, status.Convert(err).Message())
		return serviceError{text, err}
	}
}

// reachError is what the connection failed of, without what is said around it.
func reachError(err error) string {
	var said serviceError
	if errors.As(err, &said) {
		err = said.err
	}
	message := status.Convert(err).Message()
	if _, cause, ok := strings.Cut(message, "Error while dialing: "); ok {
		message = strings.TrimSuffix(cause, `"`)
	}
	if _, cause, ok := strings.Cut(message, ": connect: "); ok {
		message = cause
	}
	if strings.Contains(message, "error reading server preface") {
		message = "what listens there does not speak gRPC, wants a certificate (--tls-cert), or stands still"
	}
	return message
}

// differs reports whether an error says that something is not as it was taken to be, rather than that it could not be
// found out.
func differs(err error) bool {
	switch status.Code(err) {
	case codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition:
		return true
	}
	var found finding
	return errors.As(err, &found)
}
