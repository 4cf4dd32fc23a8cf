package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"hosho/internal/story"
)

// wire is the way to a daemon that is ready, and tells nothing of itself. It counts what it is asked.
type wire struct{ asked, streams atomic.Int64 }

func (w *wire) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	w.asked.Add(1)
	if health, ok := reply.(*healthpb.HealthCheckResponse); ok {
		health.Status = healthpb.HealthCheckResponse_SERVING
	}
	return nil
}

func (w *wire) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	w.streams.Add(1)
	return nil, status.Error(codes.Unimplemented, "an earlier release")
}

// While nobody looks, no daemon is asked anything. While somebody does, each is asked so often that what it says is not
// older than a second, and he is told at most four times a second, and that the console lives where nothing else
// changes.
func TestNobodyIsAskedWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		relay := &wire{}
		c, err := New(Config{Daemons: []Daemon{{Service: story.Relay, Address: "relay:1", Conn: relay}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()

		time.Sleep(time.Hour)
		if n := relay.asked.Load(); n > 0 || relay.streams.Load() == 0 {
			t.Errorf("got %d questions while nobody looks, want none, and a stream of what it tells", n)
		}

		looking, leave := context.WithCancel(ctx)
		answer, left := httptest.NewRecorder(), make(chan struct{})
		go func() {
			defer close(left)
			r := httptest.NewRequestWithContext(looking, http.MethodGet, "http://localhost/events", nil)
			c.ServeHTTP(answer, r)
		}()
		time.Sleep(time.Minute)
		const each = 4 // its health, the backlog, and the commands of two kinds
		if n := relay.asked.Load(); n < 60*each || n > 90*each {
			t.Errorf("got %d questions in a minute, want %d to %d", n, 60*each, 90*each)
		}
		leave()
		<-left
		told := strings.Count(answer.Body.String(), "event: frame\n")
		if told < 58 || told > 4*60 {
			t.Errorf("was told %d times in a minute, want once a second at the least and four times at the most", told)
		}

		synctest.Wait()
		before := relay.asked.Load()
		time.Sleep(time.Hour)
		if n := relay.asked.Load() - before; n > each {
			t.Errorf("got %d questions after he has left, want none", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A browser that takes nothing for a while is then told what is so by then: all that has changed meanwhile, once.
func TestWhoIsSlowIsToldWhatIsSoByThen(t *testing.T) {
	t.Parallel()
	r, err := newRenderer()
	if err != nil {
		t.Fatal(err)
	}
	f := newFeed(nil, nil)
	h := newHub(r, f.picture)
	v := r.of("en")
	leave, err := h.join(v)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	first := h.frames[v]
	if got := len(first.after(0)); got != len(regions) {
		t.Errorf("got %d regions at first, want all %d", got, len(regions))
	}
	f.anew()
	f.board.Daemon(time.Now(), story.Relay, "relay:1", string(gone))
	for range 10 {
		if err := h.tick(); err != nil {
			t.Fatal(err)
		}
	}
	changed := h.frames[v].after(first.number)
	if _, ok := changed["happened"]; !ok || len(changed["pending"]) > 0 {
		t.Errorf("got %v, want what happened meanwhile, and not what has stayed", changed)
	}
}

// There are as many streams as a console can serve, and whoever comes then is told so.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	v := c.render.of("ja")
	for range maxStreams {
		leave, err := c.hub.join(v)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	answer := httptest.NewRecorder()
	c.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/events", nil))
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d, want it refused", answer.Code)
	}
}

// Why a daemon is not heard is said in few words: who it is and what is to be done stands elsewhere on the page.
func TestWhyNobodyIsHeardIsSaidShortly(t *testing.T) {
	t.Parallel()
	refused := status.Error(codes.Unavailable,
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	for want, err := range map[string]error{
		"connection refused": fmt.Errorf("there is no relay at 127.0.0.1:1: %w", refused),
		"an earlier release": status.Error(codes.Unimplemented, "an earlier release"),
	} {
		if got := whyOf(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
