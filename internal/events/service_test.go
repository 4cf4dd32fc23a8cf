package events

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/rpc"
)

// serve serves a log as a daemon does, until the test ends or the function that it returns is called.
func serve(t *testing.T, l *Log) (client eventv1.EventServiceClient, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- rpc.Serve(ctx, rpc.ServerConfig{
			Listen: "127.0.0.1:0", Log: slog.New(slog.NewJSONHandler(write, nil)), Register: l.Register,
			Ready: func(context.Context) error { return nil }, Stopping: l.Stop, CallTimeout: time.Minute,
			MaxReceive: 1 << 10,
		})
		_ = write.Close() // of a pipe: it has no error
	}()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	lines, address := bufio.NewScanner(read), ""
	for ready := false; (!ready || address == "") && lines.Scan(); {
		var line struct{ Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Msg == "serving" {
			address = line.Address
		}
		ready = ready || line.Msg == "ready"
	}
	go func() { _, _ = io.Copy(io.Discard, read) }() // so that nobody waits to log
	conn, err := rpc.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return eventv1.NewEventServiceClient(conn), stop
}

// watching is a stream of events.
type watching struct {
	eventv1.EventService_WatchEventsClient

	t *testing.T
}

func watch(t *testing.T, client eventv1.EventServiceClient, kept bool) watching {
	t.Helper()
	stream, err := client.WatchEvents(t.Context(), &eventv1.WatchEventsRequest{Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	return watching{stream, t}
}

func (w watching) next() *eventv1.WatchEventsResponse {
	w.t.Helper()
	r, err := w.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// ends returns how the stream ends, and what comes before.
func (w watching) ends() (all []*eventv1.WatchEventsResponse, err error) {
	for {
		r, err := w.Recv()
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
}

// calm is a log whose streams say nothing by themselves.
func calm() *Log {
	l := NewLog("relay", "host:1", nil)
	l.pace.beat = time.Hour
	return l
}

// note notes that the breaker of charges has changed, so many times.
func note(l *Log, n int) {
	for range n {
		l.Breaker("CHARGE", true, "UNAVAILABLE")
	}
}

// Whoever watches hears at once who tells it, and then each event that follows; or those that are kept, first.
func TestAStreamBeginsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	l := calm()
	client, _ := serve(t, l)
	note(l, 3)
	w := watch(t, client, false)
	first := w.next()
	if first.GetDaemon() != "relay" || first.GetProcess() != "host:1" || first.GetLastSequence() != 3 ||
		!first.GetStartTime().AsTime().Equal(l.started) || len(first.GetEvents()) != 0 {
		t.Errorf("got %v, want who it is, and no event yet", first)
	}
	note(l, 1)
	if got := w.next(); len(got.GetEvents()) != 1 || got.GetLastSequence() != 4 {
		t.Errorf("got %v, want the fourth event", got)
	}
	if got := watch(t, client, true).next(); len(got.GetEvents()) != 4 || got.GetEvents()[0].GetSequence() != 1 {
		t.Errorf("got %v, want all four events", got)
	}
}

// Where nothing happens, who watches hears that all the same.
func TestAStreamHasABeat(t *testing.T) {
	t.Parallel()
	l := NewLog("relay", "host:1", nil)
	l.pace = pace{pause: time.Millisecond, beat: 2 * time.Millisecond, unread: time.Minute, age: time.Hour}
	client, _ := serve(t, l)
	w := watch(t, client, false)
	for range 5 {
		if got := w.next(); len(got.GetEvents()) != 0 || got.GetProcess() != "host:1" {
			t.Errorf("got %v, want a message without events", got)
		}
	}
}

// A reader that takes nothing while a hundred thousand things happen: what is not told is counted, to the last one.
func TestWhatASlowReaderMissesIsCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l := NewLog("relay", "host:1", registry)
	l.pace = pace{beat: time.Hour, unread: time.Hour, age: time.Hour}
	l.ring = make([]event, 1000)
	client, _ := serve(t, l)
	w := watch(t, client, false)
	w.next()
	const all = 100_000
	note(l, all)
	var told, dropped int64
	for told+dropped < all {
		r := w.next()
		if n := len(r.GetEvents()); n > mostTogether {
			t.Fatalf("got %d events in a message, want %d at most", n, mostTogether)
		}
		dropped += r.GetDropped()
		for i, e := range r.GetEvents() {
			if told++; e.GetSequence() != told+dropped {
				t.Fatalf("event %d of a message: got sequence %d after %d told and %d dropped",
					i, e.GetSequence(), told-1, dropped)
			}
		}
	}
	if dropped == 0 || told < 1000 {
		t.Errorf("got %d told and %d dropped, want the latest told and others dropped", told, dropped)
	}
	if got := testutil.ToFloat64(l.metrics.dropped); got != float64(dropped) {
		t.Errorf("got %v dropped by the metric, want %d", got, dropped)
	}
}

func TestAReaderThatTakesNothingIsSentAway(t *testing.T) {
	t.Parallel()
	l := NewLog("relay", "host:1", nil)
	l.pace = pace{beat: time.Hour, unread: 10 * time.Millisecond, age: time.Hour}
	client, _ := serve(t, l)
	w := watch(t, client, false)
	w.next()
	for testutil.ToFloat64(l.metrics.watchers) > 0 {
		note(l, 1000)
	}
	if _, err := w.ends(); status.Code(err) != codes.ResourceExhausted || rpc.Reason(err) != "REPLIES_UNREAD" {
		t.Errorf("got %v, want REPLIES_UNREAD", err)
	}
}

// A daemon that stops tells its last events before the end.
func TestAStreamEndsWhenItsDaemonStops(t *testing.T) {
	t.Parallel()
	l := calm()
	l.pace.pause = time.Hour // so that nothing is told but at the end
	client, stop := serve(t, l)
	w := watch(t, client, false)
	w.next()
	note(l, 300)
	go stop()
	all, err := w.ends()
	if rpc.Reason(err) != "STOPPING" || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want STOPPING", err)
	}
	n := 0
	for _, r := range all {
		n += len(r.GetEvents())
	}
	if n != 300 {
		t.Errorf("got %d events before the end, want all 300", n)
	}
}

// Who may watch is asked again: a stream does not last for ever.
func TestAStreamEndsWhenItIsOld(t *testing.T) {
	t.Parallel()
	l := calm()
	l.pace.age = time.Millisecond
	client, _ := serve(t, l)
	if _, err := watch(t, client, false).ends(); rpc.Reason(err) != "STOPPING" {
		t.Errorf("got %v, want STOPPING", err)
	}
}

// There are thirty-two consoles. One more is told when to try again, and has a place when another has left.
func TestSoManyMayWatch(t *testing.T) {
	t.Parallel()
	l := calm()
	client, _ := serve(t, l)
	ctx, leave := context.WithCancel(t.Context())
	for range mostWatchers {
		stream, err := client.WatchEvents(ctx, &eventv1.WatchEventsRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := testutil.ToFloat64(l.metrics.watchers); got != mostWatchers {
		t.Errorf("got %v watchers by the metric, want %d", got, mostWatchers)
	}
	_, err := watch(t, client, false).Recv()
	if rpc.Reason(err) != "OVERLOADED" || rpc.RetryDelay(err) <= 0 {
		t.Errorf("got %v, want OVERLOADED and when to try again", err)
	}
	leave()
	for {
		_, err := watch(t, client, false).Recv()
		if err == nil {
			break
		}
		if rpc.Reason(err) != "OVERLOADED" {
			t.Fatal(err)
		}
	}
}
