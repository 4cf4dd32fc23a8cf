package rpc

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"hosho/internal/identity"
)

const (
	// keepaliveTime and keepaliveTimeout find a half-open link within 13 s. 10 s is the least that grpc-go allows its
	// clients.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
	// reconnectDelay caps the wait before a lost peer is tried again; grpc-go's own cap is two minutes.
	reconnectDelay = time.Second
	// connectTimeout bounds one try to connect, which takes two round trips: on a link of two seconds each it must not
	// be given up for ever.
	connectTimeout = 6 * time.Second
	// clientWindow is how much of the replies may be on its way, of one call and on one connection.
	clientWindow = 1 << 20
)

// As is how a client has a certificate, and talks to nobody but the server with an identity; if that is empty, to one
// that has the name by which it is dialled. Without a Keeper it is how Dial does without: plaintext.
func As(k *identity.Keeper, server string) grpc.DialOption {
	if k == nil {
		return grpc.EmptyDialOption{}
	}
	return grpc.WithTransportCredentials(k.Client(server))
}

// Dial makes a client connection. It connects when the first call needs it and again after each loss, and it never
// retries a call by itself: retries have one owner, the caller. Nor does it ask a proxy of the environment, which was
// meant for the way out and not for our own processes. The options are added to these, and the last of a kind counts.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}
	connect.Backoff.BaseDelay = 50 * time.Millisecond
	connect.Backoff.MaxDelay = reconnectDelay
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(connect),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true,
		}),
		// A window that grows with the link is had by a ping for what comes in, which wakes either side once more.
		grpc.WithStaticStreamWindowSize(clientWindow),
		grpc.WithStaticConnWindowSize(clientWindow),
	}, options...)...)
}
