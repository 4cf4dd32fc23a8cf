// Package rpc is how hosho's processes serve and dial gRPC.
//
// Its promise: a server answers NOT_SERVING until it is ready, logs each call once, turns every error into one status
// with one ErrorInfo, survives a handler's panic, and stops within StopTimeout. A client never retries behind its
// caller's back and finds a dead link in seconds.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"hosho/internal/admission"
	"hosho/internal/identity"
)

// ServerConfig says what to serve, and how.
type ServerConfig struct {
	Listen      string // the gRPC address
	AdminListen string // the address of health, metrics and profiles, plain HTTP; empty: none
	Reflection  bool
	MaxReceive  int           // the largest message accepted, in bytes
	CallTimeout time.Duration // bounds a unary call, its request's arrival too, whose client set no shorter deadline
	Log         *slog.Logger

	// HTTP is a second door to the same calls; the zero value is none.
	HTTP HTTP

	// Identity is the server's certificate. nil: it has none, everything is plaintext, and nobody has an identity.
	Identity *identity.Keeper
	// Insecure has a server without a certificate listen off loopback, which is otherwise an error.
	Insecure bool
	// Authorize says whether the caller of a method may call it, "/order.v1.OrderService/GetOrder": an error, which may
	// be a *NotAllowed, refuses the call. Its handler has the context that is returned. nil: everybody may.
	Authorize func(ctx context.Context, method string) (context.Context, error)

	// Registry is what /metrics shows. It may be nil: then there are none.
	Registry *prometheus.Registry
	// Options are added to those that every server has. An interceptor among them must be a chained one; a stats
	// handler sees calls before they are admitted.
	Options []grpc.ServerOption
	// Register adds the services.
	Register func(*grpc.Server)
	// Ready is asked again and again: nil lets calls in, an error keeps them out.
	Ready func(context.Context) error
	// Doubt, if set, rings when the last answer of Ready may not be true any more: a server that serves asks at once.
	Doubt <-chan struct{}
	// Lane says which calls share the slots of which lane; the nil lane bounds none. A unary call has a slot while its
	// handler is at work. A stream is refused if its lane is full, and takes slots as it sees fit. Without Lane nothing
	// is bounded.
	Lane func(method string) *admission.Lane
	// ToStatus turns a handler's error into a status; its default is the function of that name.
	ToStatus func(error) error
	// Stopping, if set, is called when the server begins to stop, to end the streams that would not end by themselves.
	Stopping func()

	limits limits
}

// Serve serves until ctx ends, then stops: health down, calls under way finished, a bounded wait. It returns an error
// when an address cannot be had, or would be reached from elsewhere without TLS.
func Serve(ctx context.Context, c ServerConfig) error {
	listening, err := c.listen()
	if err != nil {
		return err
	}
	if c.ToStatus == nil {
		c.ToStatus = ToStatus
	}
	if c.Lane == nil {
		c.Lane = func(string) *admission.Lane { return nil }
	}
	if c.limits == (limits{}) {
		c.limits = usual
	}
	gate := newGate(c.Ready, c.Doubt, c.Log)
	metrics, refusals := newMetrics(c.Registry), NewSampler(c.Log)
	defer refusals.Stop()
	calls := interceptor{
		log: c.Log, refusals: refusals, metrics: metrics, toStatus: c.ToStatus, admit: gate.admit, lane: c.Lane,
		replies: newReplies(c.limits), authorize: c.Authorize,
	}
	door := &door{lane: c.Lane, timeout: c.CallTimeout, refuse: calls.refuse, replies: calls.replies}
	door.arriving = newArriving(c.MaxReceive)
	door.calls.most, door.reflections.most, door.watches.most = c.limits.calls, c.limits.reflections, c.limits.watches
	server := c.newServer(door, calls)
	c.Register(server)
	for name := range server.GetServiceInfo() {
		gate.services = append(gate.services, name)
	}
	healthpb.RegisterHealthServer(server, healthServer{gate.health})
	if c.Reflection {
		reflection.Register(server)
	}
	door.serves(server.GetServiceInfo())
	metrics.shows(c.Registry, server, calls.replies, c.plaintext(listening.grpc), gate.admit)
	web, err := c.openHTTP(listening.http, refusals, metrics)
	if err != nil {
		return errors.Join(err, listening.close())
	}

	crowd := &crowd{Listener: listening.grpc, most: c.limits.connections, refused: metrics.connections.Inc}
	served, stopped := make(chan error, 1), make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ServeAdmin(ctx, listening.admin, c.Registry, gate.admit) })
	group.Go(func() error { gate.run(ctx); return nil })
	group.Go(func() error { return web.run(ctx, server, c.Log) })
	group.Go(func() error {
		<-ctx.Done()
		gate.health.Shutdown()
		if c.Stopping != nil {
			c.Stopping()
		}
		stop(server, c.Log)
		close(stopped)
		return nil
	})
	group.Go(func() error {
		if c.plaintext(listening.grpc) {
			warn(c.Log, listening.grpc)
		}
		c.Log.LogAttrs(ctx, slog.LevelInfo, "serving", listening.attrs()...)
		go func() { served <- server.Serve(crowd) }()
		select {
		case err := <-served:
			if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("serve gRPC: %w", err)
			}
		case <-stopped: // whatever stands
		}
		return nil
	})
	return group.Wait()
}

// newServer makes the server, whose calls all go through the door and then the interceptor first.
func (c ServerConfig) newServer(door *door, calls interceptor) *grpc.Server {
	var secured []grpc.ServerOption
	var creds credentials.TransportCredentials
	if c.Identity != nil {
		creds = c.Identity.Server(calls.metrics.handshakeFailed(c.Log, calls.refusals))
	}
	if c.HTTP.Listen != "" {
		creds = letInner(creds)
	}
	if creds != nil {
		secured = append(secured, grpc.Creds(creds))
	}
	return grpc.NewServer(slices.Concat(c.limits.options(), secured, []grpc.ServerOption{
		grpc.MaxRecvMsgSize(c.MaxReceive),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InTapHandle(door.enter),
		grpc.UnaryInterceptor(calls.unary),
		grpc.StreamInterceptor(calls.stream),
	}, c.Options)...)
}
