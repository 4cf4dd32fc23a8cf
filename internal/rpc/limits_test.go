package rpc

import (
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// limited serves with other limits than usual.
func limited(change func(*limits)) func(*ServerConfig) {
	return func(c *ServerConfig) {
		c.limits = usual
		change(&c.limits)
	}
}

// A call comes with megabytes of headers. It is reset before the server has kept them, or its connection closed.
func TestHeadersOfMegabytesAreNotKept(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{})
	c := dialRaw(t, s.address)
	var padding []hpack.HeaderField
	for range 2 {
		padding = append(padding, hpack.HeaderField{Name: "x-padding", Value: strings.Repeat("x", 1<<20)})
	}
	c.open(t, 1, getMethod, padding...)
	c.await(t, func(f http2.Frame) bool { _, reset := f.(*http2.RSTStreamFrame); return reset })
	if err := s.get(t.Context()); err != nil {
		t.Errorf("another client: %v", err)
	}
}

// gRPC's own clients are told the limit, and do not even send what is above it. What is below it is read.
func TestHeadersHaveALimitThatClientsAreTold(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{})
	for size, want := range map[int]codes.Code{12 << 10: codes.OK, 17 << 10: codes.Internal} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-padding", strings.Repeat("x", size))
		if err := s.get(ctx); status.Code(err) != want {
			t.Errorf("%d bytes: got %v, want %s", size, err, want)
		}
	}
}

// A server has room for two connections. The third is closed at once, and when one of the two is gone another is let
// in.
func TestAConnectionTooManyIsClosedAtOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := start(t, &orders{}, limited(func(l *limits) { l.connections = 2 }),
		func(c *ServerConfig) { c.Registry = registry })
	if err := s.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled := func(f http2.Frame) bool { _, ok := f.(*http2.SettingsFrame); return ok }
	second := dialRaw(t, s.address)
	if second.await(t, settled) {
		t.Fatal("the second connection was closed")
	}
	if !dialRaw(t, s.address).await(t, settled) {
		t.Error("the third connection was let in")
	}
	wantMetric(t, registry, "hosho_rpc_connections_refused_total 1")
	second.conn.Close()
	for deadline := time.Now().Add(longWait); dialRaw(t, s.address).await(t, settled); {
		if time.Now().After(deadline) {
			t.Fatal("no connection was let in when there was room")
		}
	}
}

// Somebody connects and says nothing, or says hello and makes no call.
func TestAConnectionThatIsNotUsedIsClosed(t *testing.T) {
	t.Parallel()
	const soon = 20 * time.Millisecond
	s := start(t, &orders{}, limited(func(l *limits) { l.handshake, l.idle = soon, soon }))
	if _, err := io.Copy(io.Discard, connect(t, s.address)); err != nil {
		t.Errorf("got %v, want the connection closed", err)
	}
	greeted := dialRaw(t, s.address)
	goesAway := func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok }
	if greeted.await(t, goesAway) {
		t.Error("the connection was closed without a GOAWAY")
	}
}

// A request comes a byte at a time. The call ends when its time is over, whether it would have one answer or many; its
// handler never hears of it.
func TestARequestThatTricklesInIsEnded(t *testing.T) {
	t.Parallel()
	heard := func(context.Context) error { t.Error("the handler heard of it"); return nil }
	s := start(t, &orders{get: heard, watch: heard}, func(c *ServerConfig) { c.CallTimeout = 50 * time.Millisecond })
	for method, want := range map[string]codes.Code{getMethod: codes.DeadlineExceeded, watchMethod: codes.Canceled} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			c := dialRaw(t, s.address)
			c.open(t, 1, method)
			if err := c.WriteData(1, false, []byte{0, 0, 0, 0, 100, 1}); err != nil { // of a message of 100 bytes
				t.Fatal(err)
			}
			c.await(t, func(f http2.Frame) bool {
				code, ended := statusOf(f)
				if ended && code != strconv.Itoa(int(want)) {
					t.Errorf("got status %s, want %d", code, want)
				}
				return ended
			})
		})
	}
}

// The request of a stream was there in time. The stream then lasts for as long as it likes.
func TestAStreamLastsLongerThanItsRequestMayTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, other := &call{}, &call{}
		lasts, end := c.awaited(t.Context(), time.Second)
		defer end()
		late, end := other.awaited(t.Context(), time.Second)
		defer end()
		c.came()
		<-time.After(time.Hour)
		if lasts.Err() != nil || late.Err() == nil {
			t.Errorf("got %v of the one whose request came, %v of the other", lasts.Err(), late.Err())
		}
	})
}

// The document's table of limits says what they are.
func TestTheDocumentSaysWhatTheLimitsAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../doc/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Limits\n")
	table, _, _ = strings.Cut(table, "\n## ")
	number := func(n int) string {
		s := strconv.Itoa(n)
		if at := len(s) - 3; at > 0 {
			s = s[:at] + "," + s[at:]
		}
		return s
	}
	minutes := func(d time.Duration) string { return number(int(d.Minutes())) + " min" }
	u := usual
	arriving := number(arrivingBytes>>20) + " MiB are messages, " + number(fewArriving) + " at"
	for what, bound := range map[string]string{
		"connections at a time":           number(u.connections),
		"a new connection's greeting":     number(int(u.handshake.Seconds())) + " s",
		"a connection without a call":     minutes(u.idle),
		"a connection's age":              minutes(u.age) + ", and " + number(int(u.grace.Minutes())) + " more",
		"streams of a connection":         number(int(u.streams)),
		"calls at a time":                 number(int(u.calls)),
		"gRPC reflection":                 number(int(u.reflections)) + " at a time",
		"watches of a daemon's health":    number(int(u.watches)),
		"headers of a call":               number(int(u.headers>>10)) + " KiB",
		"replies that a client does not":  number(int(u.unread>>20)) + " MiB of a connection",
		"requests of which only the head": arriving,
		"a request over HTTP": number(int(u.httpHeaders.Seconds())) + " s for its headers, " +
			number(int(u.httpRequest.Seconds())) + " s for all of it, " + number(int(u.httpAnswer.Seconds())) + " s to",
		"a connection of HTTP without a request": minutes(u.httpIdle),
	} {
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(what) + `[^|]*\| [^|]*` + regexp.QuoteMeta(bound))
		if !row.MatchString(table) {
			t.Errorf("%s: the table of limits does not say %q", what, bound)
		}
	}
}

// The relay opens another stream every five minutes. A connection that ends by age cuts none off before.
func TestNoStreamOfARelayIsCutOffByAge(t *testing.T) {
	t.Parallel()
	if usual.grace <= 5*time.Minute {
		t.Errorf("got a grace of %v, want more than the five minutes of a relay's stream", usual.grace)
	}
}

// One connection holds as many streams as it may, and opens one more.
func TestAStreamTooManyOfAConnectionIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{}, limited(func(l *limits) { l.streams = 2 }))
	c := dialRaw(t, s.address)
	for id := uint32(1); id <= 5; id += 2 {
		c.open(t, id, getMethod)
	}
	c.await(t, func(f http2.Frame) bool {
		reset, ok := f.(*http2.RSTStreamFrame)
		if ok && (reset.StreamID != 5 || reset.ErrCode != http2.ErrCodeRefusedStream) {
			t.Errorf("got %v, want stream 5 refused", reset)
		}
		return ok
	})
}

// All clients together hold as many calls as the server takes. Another is refused, whoever asks; who asks for the
// health is answered. When a stream has ended there is room for another.
func TestACallTooManyOfAllIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{watch: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		limited(func(l *limits) { l.calls, l.watches = 2, 1 }))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 {
		if _, err := s.open(t, ctx); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	health := healthpb.NewHealthClient(other)
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	wantStatus(t, s.get(t.Context()), codes.ResourceExhausted, "OVERLOADED", overloadedText)
	var watched []error // by one, which has a share of its own, and by one too many
	for range 2 {
		watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		watched = append(watched, err)
	}
	if watched[0] != nil {
		t.Errorf("watching the health: %v", watched[0])
	}
	wantStatus(t, watched[1], codes.ResourceExhausted, "OVERLOADED", overloadedText)
	cancel()
	for deadline := time.Now().Add(longWait); s.get(t.Context()) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no call was let in when there was room")
		}
	}
}

// Reflection is for a few people with grpcurl. It takes no more than its own share, and no stream of it lasts.
func TestReflectionHasAShareOfItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{}, limited(func(l *limits) { l.reflections = 1 }),
		func(c *ServerConfig) { c.Reflection, c.CallTimeout = true, 100*time.Millisecond })
	reflect := func() error {
		stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	first := make(chan error)
	go func() { first <- reflect() }()
	second := reflect()
	if one, other := status.Code(<-first), status.Code(second); one+other !=
		codes.DeadlineExceeded+codes.ResourceExhausted || one == other {
		t.Errorf("got %v and %v, want one whose time is over, and one refused", one, other)
	}
	if err := s.get(t.Context()); err != nil {
		t.Error(err)
	}
}
