package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/daemon"
	"hosho/internal/identity"
	"hosho/internal/rpc"
)

// overCalls is the transport that is no broker's. Those are called as their brokers are.
const overCalls = "grpc"

// transport is the flags that say how commands reach paymentd.
type transport struct {
	Transport string `enum:"grpc,kafka,rabbitmq,nats" default:"grpc" env:"${env}_TRANSPORT" help:"${transport}"`

	PaymentTarget string `type:"target" default:"127.0.0.1:50052" env:"${env}_PAYMENT_TARGET" help:"Where paymentd is."`

	PaymentIdentity string `type:"identity" env:"${env}_PAYMENT_IDENTITY" placeholder:"URI" help:"${payment_identity}"`

	connect.Flags
}

// help returns the texts of all flags of the relay.
func help() map[string]string {
	all := connect.Help()
	maps.Copy(all, paceHelp)
	all["transport"] = "How commands reach paymentd, and its answers the relay: grpc calls paymentd; " +
		"kafka, rabbitmq and nats go over the broker of --broker-url, and no paymentd is called."
	all["payment_identity"] = "Who paymentd is by its certificate: spiffe://example.org/paymentd."
	return all
}

// destination is where commands go: to paymentd, or over a broker.
type destination struct {
	paymentd paymentv1.PaymentServiceClient
	broker   broker.Broker // nil: to paymentd
	kind     string        // of the broker
	prefix   string        // of the topics
	close    func()
}

// tell logs what the topics can promise, where there are any.
func (d destination) tell(ctx context.Context, log *slog.Logger) {
	if d.broker != nil {
		connect.Tell(ctx, d.broker, d.prefix, log)
	}
}

// open connects, by and by: that nobody is there is no error.
func (t *transport) open(
	own *identity.Keeper, registry prometheus.Registerer, log *slog.Logger,
) (destination, error) {
	if t.Transport == "" || t.Transport == overCalls {
		return t.call(own)
	}
	switch kind, err := t.Kind(); {
	case err != nil:
		return destination{}, err
	case kind != t.Transport:
		return destination{}, fmt.Errorf("--transport %s: got a --broker-url of %s, want one that begins with %s",
			t.Transport, kind, connect.Schemes(t.Transport))
	}
	b, err := t.Open(program.Name+" "+daemon.Instance(), log, registry)
	if err != nil {
		return destination{}, err
	}
	return destination{broker: b, kind: t.Transport, prefix: t.BrokerPrefix, close: b.Close}, nil
}

func (t *transport) call(own *identity.Keeper) (destination, error) {
	switch certified := own != nil; {
	case t.Given():
		return destination{}, errors.New("--broker-url is given, and --transport is grpc: want kafka, rabbitmq or " +
			"nats to go over the broker")
	case !certified && t.PaymentIdentity != "":
		return destination{}, errors.New("--payment-identity says who paymentd must be, and without --tls-cert, " +
			"--tls-key and --tls-ca nobody can tell")
	case certified && t.PaymentIdentity == "":
		return destination{}, errors.New("--payment-identity is missing: with a certificate the relay talks to " +
			"nobody but the paymentd that it names")
	}
	paymentd, err := rpc.Dial(t.PaymentTarget, rpc.As(own, t.PaymentIdentity))
	if err != nil {
		return destination{}, fmt.Errorf("dial paymentd at %s: %w", t.PaymentTarget, err)
	}
	return destination{
		paymentd: paymentv1.NewPaymentServiceClient(paymentd),
		close:    func() { _ = paymentd.Close() }, // nothing is sent any more
	}, nil
}
