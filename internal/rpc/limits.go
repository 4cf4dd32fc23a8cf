package rpc

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// limits bound what clients can take from a server, each of them and all together. Whoever keeps to gRPC's manners
// meets none of them.
type limits struct {
	connections int   // at a time
	calls       int64 // at a time, streams among them; those who watch an order are bounded by orderd, below this
	reflections int64 // at a time: for people with grpcurl
	watches     int64 // of the server's health, at a time: a connection needs one
	streams     uint32
	headers     uint32        // bytes of a call's headers, which gRPC would else take 16 MiB of
	handshake   time.Duration // of a new connection
	idle        time.Duration // of a connection without a call
	age, grace  time.Duration // of a connection, and of the calls on it when it is old
	unread      int64         // bytes of replies that a connection does not take
	unreadByAll int64
	window      int32 // bytes of a stream that its handler has not read

	// Of a request over HTTP, whose connection has one at a time: its headers, all of it, and from its headers to its
	// answer; of one that lasts each write has its own time. httpIdle is for a connection that has none.
	httpHeaders, httpRequest, httpAnswer, httpIdle time.Duration
}

// usual is what every server has. Connections end by age so that clients find new servers. The grace is longer than any
// stream of a relay lives: it opens another every five minutes, and then no end by age cuts one off.
var usual = limits{
	connections: 1_000, calls: 25_000, reflections: 100, watches: 1_000, streams: 1_000, headers: 16 << 10,
	handshake: 5 * time.Second, idle: 5 * time.Minute, age: 30 * time.Minute, grace: 10 * time.Minute,
	unread: 8 << 20, unreadByAll: 64 << 20, window: 64 << 10,
	httpHeaders: 5 * time.Second, httpRequest: 10 * time.Second, httpAnswer: 20 * time.Second,
	httpIdle: time.Minute,
}

// connectionWindow is how much may be on its way on one connection. gRPC grants it anew as data comes in, read or not,
// so that it costs no memory.
const connectionWindow = 1 << 20

func (l limits) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(l.streams),
		grpc.MaxHeaderListSize(l.headers),
		grpc.ConnectionTimeout(l.handshake),
		// Windows that grow with the link would let each stream keep 16 MiB that nobody reads.
		grpc.StaticStreamWindowSize(l.window),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: l.idle, MaxConnectionAge: l.age, MaxConnectionAgeGrace: l.grace,
			Time: keepaliveTime, Timeout: keepaliveTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: keepaliveTime / 2, PermitWithoutStream: true,
		}),
	}
}
