package follow

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "hosho/gen/event/v1"
)

// daemon is an EventService that says what a test has it say, a script for each stream.
type daemon struct {
	eventv1.UnimplementedEventServiceServer

	mu      sync.Mutex
	scripts []script
	asked   []bool // with kept, by stream
}

// script is what a stream says, and how it ends.
type script func(eventv1.EventService_WatchEventsServer) error

func (d *daemon) WatchEvents(r *eventv1.WatchEventsRequest, stream eventv1.EventService_WatchEventsServer) error {
	d.mu.Lock()
	d.asked = append(d.asked, r.GetKept())
	say := says(nil)
	if len(d.scripts) > 0 {
		say, d.scripts = d.scripts[0], d.scripts[1:]
	}
	d.mu.Unlock()
	return say(stream)
}

// gone is how a stream breaks.
var gone = status.Error(codes.Unavailable, "gone")

// says is a stream that has some messages, and ends with an error; nil: it stays.
func says(err error, messages ...*eventv1.WatchEventsResponse) script {
	return func(stream eventv1.EventService_WatchEventsServer) error {
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if err == nil {
			<-stream.Context().Done()
		}
		return err
	}
}

// of is a message of a process with the events of some sequences, after which the last one is known to be last.
func of(process string, dropped, last int64, sequences ...int64) *eventv1.WatchEventsResponse {
	m := &eventv1.WatchEventsResponse{
		Daemon: "relay", Process: process, StartTime: timestamppb.New(time.Unix(0, 0)),
		Dropped: dropped, LastSequence: last,
	}
	for _, n := range sequences {
		m.Events = append(m.Events, &eventv1.Event{Sequence: n})
	}
	return m
}

// told is News as a test compares it.
type told struct {
	Process string
	Events  []int64
	Missed  int64
	Err     bool
}

// follow returns the first news of a daemon with some scripts, and with which requests it was asked.
func follow(t *testing.T, kept bool, n int, d *daemon) (news []told) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	Follow(ctx, dial(t, d), kept, func(got News) {
		one := told{Process: got.Process, Missed: got.Missed, Err: got.Err != nil}
		for _, e := range got.Events {
			one.Events = append(one.Events, e.GetSequence())
		}
		if news = append(news, one); len(news) == n {
			cancel()
		}
	})
	return news[:min(len(news), n)]
}

func dial(t *testing.T, d *daemon) *grpc.ClientConn {
	t.Helper()
	listener, server := bufconn.Listen(1<<16), grpc.NewServer()
	eventv1.RegisterEventServiceServer(server, d)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	there := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:///test",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(there))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestFollowing(t *testing.T) {
	t.Parallel()
	type scripts = []script
	for _, test := range []struct {
		name    string
		kept    bool
		scripts scripts
		want    []told
		asked   []bool
	}{
		{
			"from the next event on", false,
			scripts{says(nil, of("a", 0, 7), of("a", 0, 9, 8, 9))},
			[]told{{Process: "a"}, {Process: "a", Events: []int64{8, 9}}},
			[]bool{false},
		},
		{
			"from the oldest that is kept, which is not the first that there was", true,
			scripts{says(nil, of("a", 0, 9, 8, 9))},
			[]told{{Process: "a", Events: []int64{8, 9}}},
			[]bool{true},
		},
		{
			"what the daemon left out is told", false,
			scripts{says(nil, of("a", 0, 0), of("a", 3, 5, 4, 5))},
			[]told{{Process: "a"}, {Process: "a", Events: []int64{4, 5}, Missed: 3}},
			[]bool{false},
		},
		{
			"a stream that breaks goes on, and nothing comes twice", false,
			scripts{says(gone, of("a", 0, 0), of("a", 0, 2, 1, 2)), says(nil, of("a", 0, 4, 1, 2, 3, 4))},
			[]told{{Process: "a"}, {Process: "a", Events: []int64{1, 2}}, {Process: "a", Events: []int64{3, 4}}},
			[]bool{false, true},
		},
		{
			"before the first event, what happened before it was asked for does not come", false,
			scripts{says(gone, of("a", 0, 5)), says(nil, of("a", 0, 7, 4, 5, 6, 7))},
			[]told{{Process: "a"}, {Process: "a", Events: []int64{6, 7}}},
			[]bool{false, true},
		},
		{
			"what is not kept any more was missed", false,
			scripts{says(gone, of("a", 0, 2, 1, 2)), says(nil, of("a", 0, 9, 8, 9))},
			[]told{{Process: "a", Events: []int64{1, 2}}, {Process: "a", Events: []int64{8, 9}, Missed: 5}},
			[]bool{false, true},
		},
		{
			"another process begins anew, and nobody knows what was missed", false,
			scripts{says(gone, of("a", 0, 2, 1, 2)), says(nil, of("b", 0, 3, 1, 2, 3), of("b", 0, 4, 4))},
			[]told{
				{Process: "a", Events: []int64{1, 2}},
				{Process: "b", Events: []int64{1, 2, 3}, Missed: Unknown},
				{Process: "b", Events: []int64{4}},
			},
			[]bool{false, true},
		},
		{
			"one that cannot be reached is told once", false,
			scripts{says(gone, of("a", 0, 0)), says(gone), says(gone), says(nil, of("a", 0, 1, 1))},
			[]told{{Process: "a"}, {Process: "a", Err: true}, {Process: "a", Events: []int64{1}}},
			[]bool{false, true, true, true},
		},
		{
			"one that was never there is told as well, and begins where it was to", false,
			scripts{says(gone), says(nil, of("a", 0, 3))},
			[]told{{Err: true}, {Process: "a"}},
			[]bool{false, false},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := &daemon{scripts: test.scripts}
			if diff := cmp.Diff(test.want, follow(t, test.kept, len(test.want), d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if diff := cmp.Diff(test.asked, d.asked); diff != "" {
				t.Errorf("asked with kept (-want +got):\n%s", diff)
			}
		})
	}
}

// A daemon that stands still is told of, and its stream is not given up: what it says afterwards was not missed.
func TestADaemonThatStandsStillIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &still{came: make(chan *eventv1.WatchEventsResponse)}
		ctx, cancel := context.WithCancel(t.Context())
		var news []News
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f := &follower{client: client, tell: func(n News) { news = append(news, n) }, silence: silence}
			_, _ = f.stream(ctx)
		}()
		client.came <- of("a", 0, 1, 1)
		<-time.After(10 * silence)
		client.came <- of("a", 0, 2, 2)
		synctest.Wait()
		cancel()
		<-ended
		if len(news) != 3 || !errors.Is(news[1].Err, ErrSilent) || news[2].Err != nil || news[2].Missed != 0 ||
			client.opened != 1 {
			t.Errorf("got %+v by %d streams, want silence told once, and the next event", news, client.opened)
		}
	})
}

// still is a client of a daemon that says something when the test wants so.
type still struct {
	grpc.ClientStream

	ctx    context.Context
	opened int
	came   chan *eventv1.WatchEventsResponse
}

func (s *still) WatchEvents(
	ctx context.Context, _ *eventv1.WatchEventsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[eventv1.WatchEventsResponse], error) {
	s.opened++
	s.ctx = ctx
	return s, nil
}

func (s *still) Recv() (*eventv1.WatchEventsResponse, error) {
	select {
	case m := <-s.came:
		return m, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
