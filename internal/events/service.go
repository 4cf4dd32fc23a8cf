package events

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/policy"
	"hosho/internal/protowrite"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// mostWatchers is how many may watch at a time: people with a console, and no service.
const mostWatchers = 32

// pace is how fast a stream goes. Tests have others.
type pace struct {
	pause  time.Duration // after all was told, before the next event is
	beat   time.Duration // how long a stream says nothing at most
	unread time.Duration // how long a message may stand
	age    time.Duration // when a stream ends, so that who may watch is asked again, as orderd's streams do
}

var usual = pace{pause: 50 * time.Millisecond, beat: time.Second, unread: rpc.UnreadTimeout, age: 9 * time.Minute}

// Register has a server serve the log.
func (l *Log) Register(server *grpc.Server) { eventv1.RegisterEventServiceServer(server, l) }

// WatchEvents tells what happens. It holds no slot of a lane and no connection of a pool: all that it takes is memory,
// and there are few of them.
func (l *Log) WatchEvents(
	r *eventv1.WatchEventsRequest, stream grpc.ServerStreamingServer[eventv1.WatchEventsResponse],
) error {
	if err := policy.Name(stream.Context(), ""); err != nil { // they are of everybody's orders
		return err
	}
	if l.stopping.Err() != nil {
		return rpc.ErrStopping
	}
	leave, err := l.streams.Open(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	l.metrics.watchers.Inc()
	defer l.metrics.watchers.Dec()
	going, end := context.WithCancelCause(stream.Context())
	defer end(nil)
	stop := func() { end(rpc.ErrStopping) }
	defer context.AfterFunc(l.stopping, stop)()
	defer time.AfterFunc(l.pace.age, stop).Stop()
	w := &watcher{log: l, stream: stream, next: l.begin(r.GetKept()), events: make([]event, mostTogether)}
	return w.watch(going)
}

// mostTogether is how many events a message has at most. It is small enough for gRPC's smaller buffers, of 32 KiB: what
// a client does not read stays in one.
const mostTogether = 128

// watcher is one who watches.
type watcher struct {
	log    *Log
	stream grpc.ServerStreamingServer[eventv1.WatchEventsResponse]
	next   int64 // the sequence of the event to be told next

	events  []event // room for those of a message
	message []byte  // and for the message
}

// watch tells events until going ends, and returns its cause.
func (w *watcher) watch(going context.Context) error {
	for beat := true; ; {
		if err := w.tell(beat); err != nil {
			return err
		}
		var err error
		if beat, err = w.rest(going); err != nil {
			if errors.Is(err, rpc.ErrStopping) {
				_ = w.tell(false) // the last ones, as far as that goes
			}
			return err
		}
	}
}

// tell sends all events that there are. At a beat it sends a message in any case.
func (w *watcher) tell(beat bool) error {
	for ; ; beat = false {
		n, first, dropped := w.log.read(w.next, w.events)
		if n == 0 && !beat {
			return nil
		}
		w.next = first + int64(n)
		w.encode(w.events[:n], first, dropped)
		err := rpc.SendWithin(w.log.pace.unread, func() error { return w.stream.SendMsg(rpc.Lent(w.message)) })
		if err != nil {
			return err
		}
		w.log.metrics.dropped.Add(float64(dropped))
		if n < len(w.events) {
			return nil
		}
	}
}

// encode makes a WatchEventsResponse.
func (w *watcher) encode(events []event, first, dropped int64) {
	b := protowrite.Text(protowrite.Text(w.message[:0], 1, w.log.daemon), 2, w.log.process)
	b = protowrite.Number(protowrite.Time(b, 3, w.log.started), 4, dropped)
	for i := range events {
		b = events[i].append(b, first+int64(i))
	}
	w.message = protowrite.Number(b, 6, w.next-1)
}

// rest waits, for a moment and then until something has happened, or until it is time for a beat.
func (w *watcher) rest(going context.Context) (beat bool, err error) {
	silent := time.NewTimer(w.log.pace.beat)
	defer silent.Stop()
	if !wait.For(going, w.log.pace.pause) {
		return false, context.Cause(going)
	}
	select {
	case <-w.log.there(w.next):
		return false, nil
	case <-silent.C:
		return true, nil
	case <-going.Done():
		return false, context.Cause(going)
	}
}
