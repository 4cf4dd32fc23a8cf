package rpc

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	"hosho/internal/identity"
)

// inner is a way into a server that leads through the memory of its process. What comes over it are calls of others,
// whom the process has let in by itself: each says whose it is.
type inner struct{ *bufconn.Listener }

// innerBuffer is how much may be on its way, in bytes.
const innerBuffer = 64 << 10

func newInner() *inner { return &inner{bufconn.Listen(innerBuffer)} }

// Accept is called by gRPC.
func (i *inner) Accept() (net.Conn, error) {
	conn, err := i.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return innerConn{conn}, nil
}

// innerConn is a connection that nobody has but this process.
type innerConn struct{ net.Conn }

// dial connects to the server. Both ends are the same process: neither has to look whether the other is there.
func (i *inner) dial() (*grpc.ClientConn, error) {
	return Dial("passthrough:///inner",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.DialContext(ctx) }),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{}),
		grpc.WithUnaryInterceptor(vouchUnary), grpc.WithStreamInterceptor(vouchStream))
}

func vouchUnary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	return invoke(identity.Vouch(ctx), method, request, reply, conn, options...)
}

func vouchStream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return open(identity.Vouch(ctx), desc, conn, method, options...)
}

// innerCredentials let the process itself in without a certificate, and others as they did.
type innerCredentials struct {
	credentials.TransportCredentials
}

func letInner(others credentials.TransportCredentials) credentials.TransportCredentials {
	if others == nil {
		others = insecure.NewCredentials()
	}
	return innerCredentials{others}
}

// ServerHandshake is called by gRPC.
func (c innerCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if _, own := raw.(innerConn); own {
		return raw, identity.Vouching{}, nil
	}
	return c.TransportCredentials.ServerHandshake(raw)
}

// Clone is called by gRPC.
func (c innerCredentials) Clone() credentials.TransportCredentials {
	return innerCredentials{c.TransportCredentials.Clone()}
}
