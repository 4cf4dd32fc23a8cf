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
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"hosho/internal/admission"
	"hosho/internal/wait"
)

const (
	// StopTimeout is how long calls under way may take once the server is told to stop. GracefulStop alone would wait
	// for an open stream for ever.
	StopTimeout = 10 * time.Second

	maxStreams       = 2048             // per connection, so that one client cannot take all memory
	maxConnectionAge = 30 * time.Minute // so that clients find new servers
	ageGrace         = 30 * time.Second
)

// ServerConfig says what to serve, and how.
type ServerConfig struct {
	Listen      string // the gRPC address
	AdminListen string // the address of metrics and profiles; empty: none
	Reflection  bool
	MaxReceive  int           // the largest message accepted, in bytes
	CallTimeout time.Duration // bounds a unary call, its request's arrival too, whose client set no shorter deadline
	Log         *slog.Logger

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
}

// Serve serves until ctx ends, then stops: health down, calls under way finished, a bounded wait. It returns an error
// when an address cannot be had.
func Serve(ctx context.Context, c ServerConfig) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	admin, err := listenAdmin(c.AdminListen)
	if err != nil {
		listener.Close()
		return err
	}
	if c.ToStatus == nil {
		c.ToStatus = ToStatus
	}
	if c.Lane == nil {
		c.Lane = func(string) *admission.Lane { return nil }
	}
	gate := newGate(c.Ready, c.Doubt, c.Log)
	calls := interceptor{
		log: c.Log, metrics: newMetrics(c.Registry), toStatus: c.ToStatus, admit: gate.admit, lane: c.Lane,
	}
	door := &door{lane: c.Lane, timeout: c.CallTimeout, refuse: calls.refuse}
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

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveAdmin(ctx, admin, c.Registry) })
	group.Go(func() error { gate.run(ctx); return nil })
	group.Go(func() error {
		<-ctx.Done()
		gate.health.Shutdown()
		if c.Stopping != nil {
			c.Stopping()
		}
		stop(server)
		return nil
	})
	group.Go(func() error {
		c.Log.Info("serving", "address", listener.Addr().String(), "admin", addressOf(admin))
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("serve gRPC: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// newServer makes the server, whose calls all go through the door and then the interceptor first.
func (c ServerConfig) newServer(door *door, calls interceptor) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(c.MaxReceive),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: maxConnectionAge, MaxConnectionAgeGrace: ageGrace,
			Time: keepaliveTime, Timeout: keepaliveTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: keepaliveTime / 2, PermitWithoutStream: true,
		}),
		grpc.InTapHandle(door.enter),
		grpc.UnaryInterceptor(calls.unary),
		grpc.StreamInterceptor(calls.stream),
	}, c.Options...)...)
}

func stop(server *grpc.Server) {
	timer := time.AfterFunc(StopTimeout, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}

// gate keeps calls out until the server is ready, and says so through the health service.
type gate struct {
	ready    func(context.Context) error
	doubt    <-chan struct{}
	log      *slog.Logger
	health   *health.Server
	services []string
	state    chan error // holds what ready returned last
}

const (
	readyPoll    = 500 * time.Millisecond // how often a server that is not ready asks again
	servingPoll  = 5 * time.Second        // and one that is
	readyTimeout = 2 * time.Second
)

var errStarting = errors.New("the server is starting")

func newGate(ready func(context.Context) error, doubt <-chan struct{}, log *slog.Logger) *gate {
	g := &gate{ready: ready, doubt: doubt, log: log, health: health.NewServer(), state: make(chan error, 1)}
	g.state <- errStarting
	g.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	return g
}

// admit returns nil when calls may come in, else what keeps them out.
func (g *gate) admit() error {
	err := <-g.state
	g.state <- err
	return err
}

func (g *gate) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := g.check(ctx); err != nil {
			wait.For(ctx, readyPoll)
			continue
		}
		timer := time.NewTimer(servingPoll)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-g.doubt:
		}
		timer.Stop()
	}
}

// check asks once, and logs when the answer has changed.
func (g *gate) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := g.ready(ctx)
	before := <-g.state
	g.state <- err
	serving := healthpb.HealthCheckResponse_SERVING
	if err != nil {
		serving = healthpb.HealthCheckResponse_NOT_SERVING
	}
	for _, name := range append([]string{""}, g.services...) {
		g.health.SetServingStatus(name, serving)
	}
	switch {
	case err == nil && before != nil:
		g.log.Info("ready")
	case err != nil && (before == nil || before.Error() != err.Error()):
		g.log.Warn("not ready", "error", err)
	}
	return err
}
