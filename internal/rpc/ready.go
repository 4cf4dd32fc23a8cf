package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/wait"
)

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
