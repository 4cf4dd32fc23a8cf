// Package events is the log of what a daemon does, in its memory, and the service that tells it: the typed form of what
// the daemon's own log says of an order.
//
// Its promise: to note an event costs next to nothing, whoever watches. It takes the place of the oldest one, allocates
// nothing and waits for nobody, and nothing is made of it but for who watches. Whoever watches is told each event once,
// in their order, or how many were left out. No event says whose an order is, or what was ordered.
package events

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/rpc"
)

// kept is how many events there are: those of two seconds of a daemon that does four thousand things a second.
const kept = 8192

// Log is the latest events of a process. It is the server of an EventService as well. The nil Log keeps nothing.
type Log struct {
	eventv1.UnimplementedEventServiceServer

	daemon, process string
	started         time.Time
	streams         *rpc.Streams
	metrics         metrics
	pace            pace
	stopping        context.Context // ends when the daemon stops
	stop            context.CancelFunc

	mu     sync.Mutex
	latest int64         // the sequence of the latest event; 0: there was none
	ring   []event       // each at its sequence, modulo their number
	came   chan struct{} // is closed by the next event; nil: nobody waits for it
}

// NewLog makes the log of a process, host:pid, of a daemon. It begins with its first event.
func NewLog(daemon, process string, registry prometheus.Registerer) *Log {
	stopping, stop := context.WithCancel(context.Background())
	return &Log{
		daemon: daemon, process: process, started: time.Now(),
		streams: rpc.NewStreams(mostWatchers, mostWatchers), metrics: newMetrics(registry), pace: usual,
		stopping: stopping, stop: stop,
		ring: make([]event, kept),
	}
}

// Stop ends the streams of all who watch, with rpc.ErrStopping, when they were told what there is.
func (l *Log) Stop() { l.stop() }

// add notes an event, and has it be told. The time and the place in the order are of one moment.
func (l *Log) add(e *event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.at = time.Now().UnixNano()
	l.latest++
	l.ring[l.latest%int64(len(l.ring))] = *e
	if l.came != nil {
		close(l.came)
		l.came = nil
	}
}

// read copies events from a sequence on, as many as there is room for. It returns how many those are, the sequence of
// the first one that it would copy if there were more, and how many are not there any more.
func (l *Log) read(from int64, into []event) (n int, first, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = max(from, l.oldest())
	n = int(min(l.latest-first+1, int64(len(into))))
	for i := range n {
		into[i] = l.ring[(first+int64(i))%int64(len(l.ring))]
	}
	return n, first, first - from
}

// oldest is the sequence of the oldest event that is there, or of the first one to come. Its caller has the lock.
func (l *Log) oldest() int64 { return max(l.latest-int64(len(l.ring)), 0) + 1 }

// begin returns the sequence of the oldest event that is there, or else of the next one.
func (l *Log) begin(withKept bool) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if withKept {
		return l.oldest()
	}
	return l.latest + 1
}

// there returns what is closed when the event with a sequence has happened.
func (l *Log) there(sequence int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest >= sequence {
		return happened
	}
	if l.came == nil {
		l.came = make(chan struct{})
	}
	return l.came
}

var happened = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
