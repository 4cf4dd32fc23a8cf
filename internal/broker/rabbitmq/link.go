package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
	"hosho/internal/wait"
)

const (
	// heartbeat finds a connection that is half open, or a server that is stopped, after three of them.
	heartbeat = 2 * time.Second
	// dialWithin bounds one try to connect.
	dialWithin = 3 * time.Second
	// retryEvery is the wait between tries.
	retryEvery = 250 * time.Millisecond
)

// link is a connection that is made again whenever it is lost. The client's own way back is an experiment, and would
// make queues that somebody has deleted.
type link struct {
	config    broker.Config
	purpose   string
	addresses string // for errors
	stop      context.CancelFunc
	running   sync.WaitGroup

	mu   sync.Mutex
	conn *amqp.Connection // nil while there is none
	wire net.Conn         // what it goes through
	err  error            // why there is none
	turn chan struct{}    // closed when conn changes
}

func newLink(config broker.Config, purpose string) *link {
	l := &link{
		config: config, purpose: purpose, addresses: strings.Join(config.Addresses, ","), turn: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.running.Go(func() { l.run(ctx) })
	return l
}

// run connects, again and again, to one address after the other.
func (l *link) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		conn, wire, err := l.dial(ctx, l.config.Addresses[i%len(l.config.Addresses)])
		l.set(conn, wire, err)
		if err == nil {
			lost := conn.NotifyClose(make(chan *amqp.Error, 1))
			select {
			case <-ctx.Done():
				_ = wire.SetDeadline(time.Now().Add(dialWithin)) // it may hang
				_ = conn.Close()                                 // what it does not tell in time is given out again
				return
			case why := <-lost:
				wire.Close()
				l.set(nil, nil, fmt.Errorf("the connection is lost: %w", why))
			}
		}
		wait.For(ctx, retryEvery)
	}
}

func (l *link) set(conn *amqp.Connection, wire net.Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.wire, l.err = conn, wire, err
	close(l.turn)
	l.turn = make(chan struct{})
}

// get returns the connection, or an error that says why there is none. At the very start it waits for the first try.
func (l *link) get(ctx context.Context) (*amqp.Connection, error) {
	l.mu.Lock()
	conn, err, turn := l.conn, l.err, l.turn
	l.mu.Unlock()
	if conn == nil && err == nil {
		select {
		case <-turn:
			return l.get(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	if err == nil {
		err = amqp.ErrClosed
	}
	u := &broker.Unreachable{Server: "RabbitMQ at " + l.addresses, Why: err}
	if said, _ := errors.AsType[*amqp.Error](err); said != nil {
		u.Denied = said.Code == amqp.AccessRefused || said.Code == amqp.NotAllowed
		if said.Code == amqp.NotAllowed { // who this is it has taken by then
			u.Place = "virtual host " + l.vhost()
		}
	}
	return nil, u
}

func (l *link) vhost() string {
	if l.config.VHost == "" {
		return "/"
	}
	return l.config.VHost
}

// away says why there is no connection; nil where there is one.
func (l *link) away() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.conn != nil && !l.conn.IsClosed():
		return nil
	case l.err != nil:
		return l.err
	}
	return errors.New("there is no connection yet")
}

// cut ends a connection that does not take what is sent. A new one is made.
func (l *link) cut(conn *amqp.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == conn && l.wire != nil {
		l.wire.Close()
	}
}

func (l *link) close() {
	l.stop()
	l.running.Wait()
}

func (l *link) dial(ctx context.Context, address string) (*amqp.Connection, net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	wire, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	conn, err := l.open(ctx, wire, address)
	if err != nil {
		wire.Close()
		return nil, nil, err
	}
	return conn, wire, nil
}

// open speaks to a server. The client takes the deadline away when that is done.
func (l *link) open(ctx context.Context, wire net.Conn, address string) (*amqp.Connection, error) {
	if err := wire.SetDeadline(time.Now().Add(dialWithin)); err != nil {
		return nil, err
	}
	if l.config.TLS != nil {
		config, err := l.config.TLS.Config()
		if err != nil {
			return nil, err
		}
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		over := tls.Client(wire, config)
		if err := over.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		wire = over
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(l.config.Client + " " + l.purpose)
	return amqp.Open(wire, amqp.Config{
		SASL: []amqp.Authentication{l.authentication()}, Vhost: l.vhost(), Heartbeat: heartbeat, Locale: "en_US",
		Properties: properties,
	})
}

// authentication tells who this is: by a password, by the certificate, or as everybody may be on the server's machine.
func (l *link) authentication() amqp.Authentication {
	switch {
	case l.config.User != "":
		return &amqp.PlainAuth{Username: l.config.User, Password: l.config.Password}
	case l.config.TLS != nil && l.config.TLS.Cert != "":
		return &amqp.ExternalAuth{}
	}
	return &amqp.PlainAuth{Username: "guest", Password: "guest"}
}
