// Package kafka is Apache Kafka as a broker: a topic is a topic, and a group a consumer group of it.
//
// Its promise is broker.Broker's. What it publishes is confirmed by all replicas that are in sync. Kafka does not count
// how often it gave an event out: ledger does, in what is committed with the group's offsets.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"hosho/internal/broker"
)

const (
	headers = "ce_" // of CloudEvents in Kafka's binary mode

	// dialWithin bounds one try to connect, and an answer beyond what the server was given for it.
	dialWithin = 3 * time.Second
	// retryFirst is the wait before the second try, and retryMost that before any later one.
	retryFirst = 100 * time.Millisecond
	retryMost  = time.Second
	// forgetAfter is when what nobody waits for any more is no longer sent.
	forgetAfter = 30 * time.Second
	// mostUnconfirmed is how much may be on its way to being confirmed.
	mostUnconfirmed = 1 << 20
)

// Broker is a connection to Kafka.
type Broker struct {
	config    broker.Config
	addresses string // for errors
	client    *kgo.Client
	admin     *kadm.Client
	last      lastError

	mu            sync.Mutex
	subscriptions []broker.Subscription
}

// Dial makes one. It returns an error when it could never connect; that nobody answers yet is none.
func Dial(c broker.Config) (*Broker, error) {
	if c.TLS != nil {
		if _, err := c.TLS.Config(); err != nil {
			return nil, err
		}
	}
	b := &Broker{config: c, addresses: strings.Join(c.Addresses, ","), last: lastError{err: errUntried}}
	var err error
	b.client, err = kgo.NewClient(append(b.options(), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxBufferedRecords(mostUnconfirmed), kgo.ProducerLinger(time.Millisecond),
		kgo.RecordDeliveryTimeout(forgetAfter), kgo.ProduceRequestTimeout(2*dialWithin),
		// A send that is given up is sent again, which is allowed; whoever publishes does not wait for ever.
		kgo.AllowIdempotentProduceCancellation())...)
	if err != nil {
		return nil, err
	}
	b.admin = kadm.NewClient(b.client)
	return b, nil
}

// options are those of every client.
func (b *Broker) options() []kgo.Opt {
	options := []kgo.Opt{
		kgo.SeedBrokers(b.config.Addresses...), kgo.ClientID(b.config.Client), kgo.Dialer(b.dial),
		kgo.RequestTimeoutOverhead(dialWithin), kgo.RetryTimeout(2 * dialWithin), kgo.MetadataMinAge(retryFirst),
		kgo.RetryBackoffFn(func(try int) time.Duration {
			return min(retryFirst<<min(try-1, 10), retryMost)
		}),
		kgo.WithHooks(&b.last),
	}
	if b.config.User != "" {
		options = append(options, kgo.SASL(mechanismOf(b.config)))
	}
	return options
}

func mechanismOf(c broker.Config) sasl.Mechanism {
	told := scram.Auth{User: c.User, Pass: c.Password}
	switch c.Mechanism {
	case "SCRAM-SHA-256":
		return told.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return told.AsSha512Mechanism()
	}
	return plain.Auth{User: c.User, Pass: c.Password}.AsMechanism()
}

func (b *Broker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	if b.config.TLS == nil {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	config, err := b.config.TLS.Config()
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
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
	b.client.Close()
}

// explained says what an error means for a topic, and what mends it.
func (b *Broker) explained(err error, topic string) error {
	switch {
	case err == nil:
		return nil
	case isGone(err):
		return broker.Missing("topic %s is not on Kafka at %s: sagactl broker setup makes it (%w)", topic, b.addresses,
			err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed),
		errors.Is(err, kerr.ClusterAuthorizationFailed):
		return broker.Flawed("topic %s: Kafka at %s does not let this user: doc/security.md says what it may (%w)",
			topic, b.addresses, err)
	}
	if last := b.last.get(); last != nil {
		return &broker.Unreachable{
			Server: "Kafka at " + b.addresses, Why: last, Denied: errors.Is(last, kerr.SaslAuthenticationFailed),
		}
	}
	return fmt.Errorf("topic %s on Kafka at %s: %w", topic, b.addresses, err)
}

// Away is broker.Broker's.
func (b *Broker) Away() error { return b.last.get() }

// errUntried is what is known before the first connection.
var errUntried = errors.New("there is no connection yet")

// lastError is what went wrong when a server was connected to last; nil: nothing. It is a hook of the client's.
type lastError struct {
	mu  sync.Mutex
	err error
}

// OnBrokerConnect is called by the client.
func (l *lastError) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, context.Canceled) { // on our side
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *lastError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
