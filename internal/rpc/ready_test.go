package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/version"
)

const (
	serving    = healthpb.HealthCheckResponse_SERVING
	notServing = healthpb.HealthCheckResponse_NOT_SERVING
)

// health watches the server's own health, and that of its service.
func (s *system) health(
	t *testing.T, ctx context.Context,
) (streams []grpc.ServerStreamingClient[healthpb.HealthCheckResponse]) {
	t.Helper()
	for _, service := range []string{"", "order.v1.OrderService"} {
		stream, err := healthpb.NewHealthClient(s.conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	return streams
}

func TestCallsAreLetInWhenTheServerIsReady(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	s := serve(t, &orders{}, func(c *ServerConfig) {
		c.Ready = func(context.Context) error {
			if !ready.Load() {
				return errSecret
			}
			return nil
		}
	})
	if line := s.log.await(t, "not ready"); line["error"] != errSecret.Error() {
		t.Errorf("got %v, want the cause", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	health := s.health(t, ctx)
	want := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, stream := range health {
			if got, err := stream.Recv(); got.GetStatus() != want {
				t.Fatalf("got %v, %v, want %s", got, err, want)
			}
		}
	}

	want(notServing)
	const text = "the server is not ready: try again"
	wantStatus(t, s.get(t.Context()), codes.Unavailable, "NOT_READY", text)
	_, err := s.open(t, t.Context())
	wantStatus(t, err, codes.Unavailable, "NOT_READY", text)

	ready.Store(true)
	want(serving)
	if err := s.get(t.Context()); err != nil {
		t.Error(err)
	}

	s.stop()
	want(notServing)
}

// Whoever asks for the health is told the version, ready or not; whoever calls is not.
func TestAHealthCheckIsToldTheVersion(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{})
	want := []string{version.String()}
	var header, other metadata.MD
	health := healthpb.NewHealthClient(s.conn)
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	if got := header.Get(VersionHeader); !slices.Equal(got, want) {
		t.Errorf("Check: got %s %q, want %q", VersionHeader, got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	header, err = stream.Header()
	if got := header.Get(VersionHeader); err != nil || !slices.Equal(got, want) {
		t.Errorf("Watch: got %s %q, %v, want %q", VersionHeader, got, err, want)
	}
	_, err = s.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: orderID}, grpc.Header(&other))
	if got := other.Get(VersionHeader); err != nil || got != nil {
		t.Errorf("a call: got %s %q, %v, want none", VersionHeader, got, err)
	}
}

func TestNoCallIsLetInBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, &orders{}, func(c *ServerConfig) {
		c.Ready = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	})
	wantStatus(t, s.get(t.Context()), codes.Unavailable, "NOT_READY", "the server is not ready: try again")
}

// The database refuses a write, and whoever saw it rings. The server asks at once, and not as often as somebody rings
// while it is not ready anyway.
func TestAServerThatIsInDoubtAsksAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked, fails atomic.Int64
		doubt := make(chan struct{}, 1)
		g := newGate(func(context.Context) error {
			asked.Add(1)
			if fails.Load() > 0 {
				return errors.New("the database is read-only")
			}
			return nil
		}, doubt, newLogLines().logger())
		ctx, stop := context.WithCancel(t.Context())
		go g.run(ctx)
		synctest.Wait()
		if err := g.admit(); err != nil {
			t.Fatal(err)
		}
		fails.Store(1)
		begin := time.Now()
		for range 3 {
			doubt <- struct{}{}
			synctest.Wait()
			if g.admit() == nil || asked.Load() != 2 || time.Since(begin) > 0 {
				t.Fatalf("after %s and %d questions: got calls let in: %v, want none at once",
					time.Since(begin), asked.Load(), g.admit() == nil)
			}
			select { // it stays until the server is ready again
			case <-doubt:
			default:
			}
		}
		stop()
	})
}

// The database goes down for a minute, after which it answers nothing for another, and comes back.
func TestAServerWhoseDatabaseFailsIsNotReadyMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var database atomic.Value // what it answers
		up := func(context.Context) error { return nil }
		down := func(context.Context) error { return errors.New("down") }
		silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		database.Store(up)
		log := newLogLines()
		g := newGate(func(ctx context.Context) error {
			return database.Load().(func(context.Context) error)(ctx)
		}, nil, log.logger())
		g.services = []string{"order.v1.OrderService"}
		ctx, stop := context.WithCancel(t.Context())
		go g.run(ctx)
		want := func(want healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			synctest.Wait()
			for _, service := range []string{"", "order.v1.OrderService"} {
				got, err := g.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
				if err != nil || got.GetStatus() != want {
					t.Errorf("service %q: got %v, %v, want %s", service, got, err, want)
				}
			}
			if admitted := g.admit() == nil; admitted != (want == serving) {
				t.Errorf("%s: got calls let in: %v", want, admitted)
			}
		}

		want(serving)
		database.Store(down)
		<-time.After(servingPoll)
		want(notServing)
		<-time.After(time.Minute)
		database.Store(silent)
		<-time.After(time.Minute)
		want(notServing)
		database.Store(up)
		<-time.After(readyPoll + readyTimeout)
		want(serving)
		stop()

		if lines, _ := log.of("not ready"); len(lines) != 2 { // of hundreds of answers
			t.Errorf("got %v, want a line for each cause", lines)
		}
		if lines, _ := log.of("ready"); len(lines) != 2 {
			t.Errorf("got %v, want two lines", lines)
		}
	})
}

// The database answers late, for ten seconds and then for longer. A server that was ready is so until it has heard
// nothing for 15 seconds, and again with the next answer. One that was not ready stays so; and an error counts at once.
func TestAServerThatHearsNothingServesOnForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var database atomic.Value // what it answers
		late := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("connect: %w", ctx.Err()) }
		up := func(context.Context) error { return nil }
		down := func(context.Context) error { return errors.New("down") }
		log := newLogLines()
		g := newGate(func(ctx context.Context) error {
			return database.Load().(func(context.Context) error)(ctx)
		}, nil, log.logger())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		answers := func(does func(context.Context) error, after time.Duration, want bool) {
			t.Helper()
			database.Store(does)
			<-time.After(after)
			synctest.Wait()
			if got := g.admit() == nil; got != want {
				t.Errorf("after %v: got calls let in: %v, want %v", after, got, want)
			}
		}
		database.Store(late)
		go g.run(ctx)
		answers(late, time.Minute, false)
		answers(up, 5*time.Second, true)
		answers(late, servingPoll+10*time.Second, true)
		answers(up, 3*time.Second, true)
		answers(late, servingPoll+14*time.Second, true)
		answers(late, 4*time.Second, false)
		answers(up, 3*time.Second, true)
		answers(down, servingPoll, false)
		if lines, _ := log.of("readiness is unknown"); len(lines) != 2 {
			t.Errorf("got %v, want a line each time", lines)
		}
		lines, _ := log.of("not ready")
		if len(lines) != 3 || lines[1]["error"] != "no answer for 15s: connect: context deadline exceeded" {
			t.Errorf("got %v, want the late start, the silence and the error", lines)
		}
	})
}
