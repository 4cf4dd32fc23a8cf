// Package hostile is clients that mean harm: they break HTTP/2's manners as far as its letter allows, ask for what is
// dear and never take it, and come back whenever they are thrown out.
//
// Its promise: an attack goes on until its context ends, with as many connections, streams and bytes in flight as its
// description says and no more, and then it leaves nothing behind on this side. What the daemon does about it is its
// own affair: an attack returns an error only when the address could not be reached even once.
package hostile

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// Attack is something that a hostile client does.
type Attack struct {
	Name  string
	Does  string   // to whom reads a table
	On    []string // the daemons that it is meant for; nil: all of them
	Admin bool     // it is for the address of metrics and profiles
	Run   func(ctx context.Context, address string) error
}

const (
	connectTimeout = 2 * time.Second
	// comeback is how long a client waits that was thrown out: it is a nuisance, and no load test.
	comeback = 100 * time.Millisecond
)

// storm keeps so many clients at an attack until ctx ends, each with a connection of its own, which is closed when ctx
// ends. Whoever is thrown out comes back.
func storm(ctx context.Context, address string, clients int, attack func(context.Context, net.Conn) error) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var refused error
	reached := false
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				err := once(ctx, address, attack)
				mu.Lock()
				if errors.Is(err, errUnreachable) {
					refused = err
				} else {
					reached = true
				}
				mu.Unlock()
				wait.For(ctx, comeback)
			}
		})
	}
	all.Wait()
	if reached {
		return nil
	}
	return refused
}

var errUnreachable = errors.New("nobody listens")

func once(ctx context.Context, address string, attack func(context.Context, net.Conn) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialer := net.Dialer{Timeout: connectTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return errors.Join(errUnreachable, err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // thousands that are closed in order would use the ports up
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if creds := credentialsIn(ctx); creds != nil {
		secured, _, err := creds.ClientHandshake(ctx, address, conn)
		if err != nil {
			return err
		}
		conn = secured
	}
	return attack(ctx, conn)
}

type credentialsKey struct{}

// As has attacks come with a certificate: who means harm may have one.
func As(ctx context.Context, creds credentials.TransportCredentials) context.Context {
	return context.WithValue(ctx, credentialsKey{}, creds)
}

// credentialsIn returns what As was given; nil: attacks are in plaintext.
func credentialsIn(ctx context.Context) credentials.TransportCredentials {
	creds, _ := ctx.Value(credentialsKey{}).(credentials.TransportCredentials)
	return creds
}

// dial makes an ordinary client's connection.
func dial(ctx context.Context, address string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	if creds := credentialsIn(ctx); creds != nil {
		options = append(options, grpc.WithTransportCredentials(creds))
	}
	return rpc.Dial(address, options...)
}
