package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	state    chan error // holds the answer that counts
	silent   time.Time  // since when ready has not answered in time; zero when it has
}

const (
	readyPoll    = 500 * time.Millisecond // how often a server that is not ready asks again
	servingPoll  = 5 * time.Second        // and one that is
	readyTimeout = 2 * time.Second
	// silence is how long a server goes on serving whose question is not answered in time. One answer that is late
	// tells of load, or of a database that fails over, and calls find out for themselves; so much silence is an outage.
	silence = 15 * time.Second
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

// check asks once, and returns what was answered. An answer that is late is none for a while: the last one counts.
func (g *gate) check(ctx context.Context) error {
	asked := time.Now()
	within, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := g.ready(within)
	counted := err
	switch serves := g.admit() == nil; {
	case !isTimeout(err):
		g.silent = time.Time{}
	case serves && g.silent.IsZero():
		g.silent = asked
		g.log.Warn("readiness is unknown", "error", err)
		return err
	case serves && time.Since(g.silent) < silence, !serves && !g.silent.IsZero():
		return err
	case serves:
		counted = fmt.Errorf("no answer for %s: %w", silence, err)
	}
	g.set(counted)
	return err
}

// isTimeout reports whether nobody answered, which is not to say that anything is wrong.
func isTimeout(err error) bool {
	var late net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()
}

// set makes an answer the one that counts, and logs it when it is another.
func (g *gate) set(err error) {
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
}
