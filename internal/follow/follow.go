// Package follow keeps up with what a daemon tells of itself, by its EventService.
//
// Its promise: each event is told once, in the order in which it happened, for as long as the caller wants; what was
// missed is said, and how much that is as far as it can be known. A stream that ends is opened again, and goes on with
// what the daemon has kept: so a gap is only what nobody can tell any more.
package follow

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// News is what a daemon has told, or that it tells nothing.
type News struct {
	Daemon  string    // orderd, paymentd or relay; like the next two it is empty as long as nothing was told
	Process string    // which one: host:pid
	Started time.Time // when the process began

	Events []*eventv1.Event // the oldest first; there may be none
	// Missed is how many events were left out before these. It is Unknown when another process was told of before.
	Missed int64

	// Err is why nothing is told at present; what was told before stands. It is told once as long as it stays the same,
	// and the next News without it says that the daemon is there again. It is a status, or ErrSilent.
	Err error
}

// Unknown is how many events were missed when nobody can say.
const Unknown = -1

// ErrSilent says that a daemon says nothing, on a connection that is open: it stands still, or the way there is cut.
var ErrSilent = fmt.Errorf("nothing was heard for %v", silence)

const (
	// silence is how long a daemon that is well says nothing at most, three times over.
	silence = 3 * time.Second
	// firstWait and longestWait are the waits before a stream is opened again, and refusedWait is that after an answer
	// of the daemon's which will not change soon.
	firstWait, longestWait, refusedWait = 100 * time.Millisecond, time.Second, 5 * time.Second
)

// Follow tells the news of the daemon at the other end of a connection, until ctx ends. With kept it begins with the
// oldest event that the daemon has kept, and otherwise with the next one. tell is called by one goroutine.
func Follow(ctx context.Context, conn grpc.ClientConnInterface, kept bool, tell func(News)) {
	f := &follower{client: eventv1.NewEventServiceClient(conn), kept: kept, tell: tell, silence: silence}
	pause := firstWait
	for ctx.Err() == nil {
		heard, err := f.stream(ctx)
		if heard { // whatever ended it, the next one may be there at once
			pause = firstWait
			wait.For(ctx, pause)
			continue
		}
		f.lost(ctx, err)
		wait.For(ctx, max(pause, patience(err)))
		pause = min(2*pause, longestWait)
	}
}

// patience is the least wait after an error.
func patience(err error) time.Duration {
	switch status.Code(err) {
	case codes.Unavailable:
		return rpc.RetryDelay(err)
	case codes.ResourceExhausted:
		return max(rpc.RetryDelay(err), longestWait)
	}
	return refusedWait
}

// follower is what is known of the daemon.
type follower struct {
	client  eventv1.EventServiceClient
	kept    bool
	tell    func(News)
	silence time.Duration

	last  News  // who told it, as far as anybody has
	had   int64 // the sequence of the last event of that process that was told, or was not asked for
	error string
}

// stream opens a stream, and tells what comes until it ends. It reports whether anything came.
func (f *follower) stream(ctx context.Context) (heard bool, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	stream, err := f.client.WatchEvents(ctx, &eventv1.WatchEventsRequest{Kept: f.kept})
	if err != nil {
		return false, err
	}
	came, ended := make(chan *eventv1.WatchEventsResponse), make(chan error, 1)
	go receive(ctx, stream, came, ended)
	silent := time.NewTimer(f.silence)
	defer silent.Stop()
	for {
		select {
		case r := <-came:
			heard = true
			f.hear(r)
			silent.Reset(f.silence)
		case err := <-ended:
			return heard, err
		case <-silent.C: // the stream stays: what comes when it is over is what was missed
			f.lost(ctx, ErrSilent)
		}
	}
}

// receive hands on what comes until the stream or ctx ends.
func receive(
	ctx context.Context, stream grpc.ServerStreamingClient[eventv1.WatchEventsResponse],
	came chan<- *eventv1.WatchEventsResponse, ended chan<- error,
) {
	for {
		r, err := stream.Recv()
		if err != nil {
			ended <- err
			return
		}
		select {
		case came <- r:
		case <-ctx.Done():
			return
		}
	}
}

// hear tells what has come, but for what was told before.
func (f *follower) hear(r *eventv1.WatchEventsResponse) {
	news := News{Daemon: r.GetDaemon(), Process: r.GetProcess(), Started: r.GetStartTime().AsTime()}
	events := r.GetEvents()
	before := r.GetLastSequence() - int64(len(events)) // what is not told by this message
	switch known := f.last.Process != ""; {
	case !known:
		f.had = before
	case f.last.Process != news.Process || !f.last.Started.Equal(news.Started):
		f.had, news.Missed = before, Unknown
	default:
		news.Missed = max(before-f.had, 0)
		events = events[min(max(f.had-before, 0), int64(len(events))):]
	}
	f.last, f.kept, f.error = news, true, ""
	f.had = max(f.had, r.GetLastSequence())
	news.Events = events
	f.tell(news)
}

// lost tells that nothing is told at present, once for each cause.
func (f *follower) lost(ctx context.Context, err error) {
	if ctx.Err() != nil || err.Error() == f.error {
		return
	}
	f.error = err.Error()
	f.tell(News{Daemon: f.last.Daemon, Process: f.last.Process, Started: f.last.Started, Err: err})
}
