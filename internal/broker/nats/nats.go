// Package nats is NATS JetStream as a broker: a topic is a stream of one subject, a group a durable consumer of it.
//
// Its promise is broker.Broker's. What it publishes is confirmed by JetStream, which says so before it is on a disk
// unless the server is told otherwise. What a process holds that dies is given out again after ackWait.
package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
)

const (
	headers = "ce-" // of CloudEvents in NATS' binary mode

	// pingEvery and mostPings find a connection that is half open, or a server that is stopped, within 6 s.
	pingEvery = 2 * time.Second
	mostPings = 2
	// dialWithin bounds one try to connect, and a write that nobody reads.
	dialWithin = 2 * time.Second
	// retryEvery is the wait between tries, to each server.
	retryEvery = 250 * time.Millisecond
	// askWithin bounds a question to the server.
	askWithin = 5 * time.Second
	// confirmWithin is when the client forgets what nobody waits for any more.
	confirmWithin = time.Minute
	// mostUnconfirmed is how much may be on its way to being confirmed.
	mostUnconfirmed = 1 << 20
)

// Broker is a connection to NATS.
type Broker struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	addresses string                  // for errors
	failed    atomic.Pointer[error]   // what the latest try to connect came to; the client forgets it
	refusal   atomic.Pointer[refusal] // the latest; nil: there was none

	mu            sync.Mutex
	subscriptions []broker.Subscription
	connected     context.Context // ends when the connection is lost that there is
	lose          context.CancelFunc
}

// Dial makes one. It returns an error when it could never connect; that nobody answers yet is none.
func Dial(c broker.Config) (*Broker, error) {
	b := &Broker{addresses: strings.Join(c.Addresses, ",")}
	options, err := optionsOf(c)
	if err != nil {
		return nil, err
	}
	b.connected, b.lose = context.WithCancel(context.Background())
	options = append(options, nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.failed.Store(&err) }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { b.lost() }),
		// The client prints what goes wrong unless somebody takes it. Whoever asks is told, by what is asked.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.told(err) }))
	if b.conn, err = nats.Connect(b.addresses, options...); err != nil {
		return nil, fmt.Errorf("NATS at %s: %w", b.addresses, err)
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(askWithin),
		jetstream.WithPublishAsyncMaxPending(mostUnconfirmed), jetstream.WithPublishAsyncTimeout(confirmWithin))
	if err != nil {
		b.conn.Close()
		return nil, err
	}
	return b, nil
}

func optionsOf(c broker.Config) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(c.Client), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(retryEvery), nats.ReconnectJitter(retryEvery/2, retryEvery/2), nats.Timeout(dialWithin),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(mostPings), nats.FlusherTimeout(dialWithin),
		nats.ReconnectOnFlusherError(),
	}
	switch {
	case c.CredentialsFile != "":
		options = append(options, nats.UserCredentials(c.CredentialsFile))
	case c.User != "":
		options = append(options, nats.UserInfo(c.User, c.Password))
	}
	if c.TLS == nil {
		return options, nil
	}
	if _, err := c.TLS.Config(); err != nil {
		return nil, err
	}
	var pair nats.TLSCertHandler
	if c.TLS.Cert != "" {
		pair = c.TLS.Pair
	}
	return append(options, nats.ClientTLSConfig(pair, c.TLS.Roots)), nil
}

// Close is broker.Broker's.
func (b *Broker) Close() {
	b.mu.Lock()
	subscriptions := b.subscriptions
	b.subscriptions = nil
	b.mu.Unlock()
	for _, s := range subscriptions {
		s.Close()
	}
	if b.conn.IsConnected() {
		_ = b.conn.FlushTimeout(time.Second) // what it does not tell in time is given out again
	}
	b.conn.Close()
}

// lost ends what waits on the connection for what the server was asked for, and has forgotten.
func (b *Broker) lost() {
	b.refusal.Store(nil) // the next one may be let do more
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose()
	b.connected, b.lose = context.WithCancel(context.Background())
}

// whileConnected returns a context that ends after a time, with ctx, or when the connection is lost.
func (b *Broker) whileConnected(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	connected := b.connected
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, within)
	stop := context.AfterFunc(connected, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Away is broker.Broker's.
func (b *Broker) Away() error {
	if b.conn.IsConnected() {
		return nil
	}
	if err := b.conn.LastError(); err != nil {
		return err
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return errors.New("there is no connection yet")
}

// away returns an error while there is no connection, for who wanted to use it.
func (b *Broker) away() error {
	if why := b.Away(); why != nil {
		return &broker.Unreachable{Server: "NATS at " + b.addresses, Why: why, Denied: denies(why)}
	}
	return nil
}

// denies reports whether a server has said that it does not take a user. The client passes on what the server said as
// it was written, or its own words.
func denies(err error) bool {
	return slices.ContainsFunc([]error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	}, func(known error) bool { return strings.EqualFold(err.Error(), known.Error()) })
}

// explained says what an error means for a topic, and what mends it. The group is empty where the topic is meant.
func (b *Broker) explained(err error, topic, group string) error {
	if away := b.away(); away != nil && err != nil {
		return away
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrNoStreamResponse):
		return broker.Missing("topic %s: there is no stream %s on NATS at %s: sagactl broker setup makes it (%w)",
			topic, streamOf(topic), b.addresses, err)
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDeleted):
		return broker.Missing("topic %s: stream %s on NATS at %s has no consumer %s: sagactl broker setup makes it",
			topic, streamOf(topic), b.addresses, group)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("NATS at %s has no JetStream, or it is not ready: start nats-server with -js (%w)",
			b.addresses, err)
	}
	if why := b.refused(""); why != nil {
		return broker.Flawed("topic %s: NATS at %s does not let this user: doc/security.md says what it may (%w)",
			topic, b.addresses, why)
	}
	return fmt.Errorf("topic %s on NATS at %s: %w", topic, b.addresses, err)
}

// streamOf returns the name of a topic's stream, which may have no dots.
func streamOf(topic string) string { return strings.ReplaceAll(topic, ".", "-") }
