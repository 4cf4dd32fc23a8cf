package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/console/board"
	"hosho/internal/story"
	"hosho/internal/wait"
)

const (
	// pollInterval is how often the daemons are asked while somebody looks: what they count is on the page, by the next
	// frame, before it is a second old.
	pollInterval = time.Second - frameInterval
	// healthTimeout and listTimeout bound what they are asked.
	healthTimeout, listTimeout = time.Second, 3 * time.Second
)

// poll asks the daemons while somebody looks, until ctx ends. A daemon that does not answer holds nobody up.
func (f *feed) poll(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	busy := make([]sync.Mutex, len(f.daemons))
	var reading sync.Mutex
	for f.audience.await(ctx) {
		for i, d := range f.daemons {
			if busy[i].TryLock() {
				all.Go(func() {
					defer busy[i].Unlock()
					f.ask(ctx, d)
				})
			}
		}
		if f.stage != nil && reading.TryLock() {
			all.Go(func() {
				defer reading.Unlock()
				f.stage.read(ctx)
			})
		}
		wait.For(ctx, pollInterval)
	}
}

// glance asks all daemons once, for somebody who does not stay.
func (f *feed) glance(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range f.daemons {
		all.Go(func() { f.ask(ctx, d) })
	}
	all.Wait()
}

// isOutOfDate reports whether nobody has asked lately.
func (f *feed) isOutOfDate() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.daemons, func(d *followed) bool { return time.Since(d.asked) > 2*pollInterval })
}

// ask asks a daemon how it does, and a relay what waits.
func (f *feed) ask(ctx context.Context, d *followed) {
	bounded, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	reply, err := healthpb.NewHealthClient(d.Conn).Check(bounded, &healthpb.HealthCheckRequest{})
	if ctx.Err() != nil { // what it failed of is no state
		return
	}
	f.answered(d, err, reply.GetStatus() == healthpb.HealthCheckResponse_SERVING)
	if err != nil || d.Service != story.Relay {
		return
	}
	f.count(ctx, d)
	if f.speaks(d) {
		f.list(ctx, d, relayv1.ParkedCommand_KIND_CHARGE, board.MaxPending)
		f.list(ctx, d, relayv1.ParkedCommand_KIND_VOID, board.MaxCancelling)
	}
}

// answered takes in whether a daemon is ready.
func (f *feed) answered(d *followed, err error, ready bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	d.asked, d.silent, d.unready = now, err, !ready
	if err == nil {
		d.heard = now
	}
	f.judge(now, d)
}

// speaks reports whether a relay is the first of those that answer: each of them speaks for all.
func (f *feed) speaks(d *followed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.daemons {
		if other == d {
			return true
		}
		if other.Service == story.Relay && time.Since(other.asked) < outOfDate && other.silent == nil {
			return false
		}
	}
	return false
}

// count asks a relay for the backlog. What it does not answer is as it was.
func (f *feed) count(ctx context.Context, d *followed) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	backlog, err := outboxOf(d.Conn).GetBacklog(ctx, &relayv1.GetBacklogRequest{})
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.board.Backlog(time.Now(), d.Address, backlog)
}

// list asks a relay for the oldest commands of a kind. What it does not answer is as it was.
func (f *feed) list(ctx context.Context, d *followed, kind relayv1.ParkedCommand_Kind, most int32) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	asked := time.Now()
	page, err := outboxOf(d.Conn).ListCommands(ctx, &relayv1.ListCommandsRequest{PageSize: most, Kind: kind})
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.board.Commands(asked, time.Now(), kind, page.GetCommands(), page.GetNextPageToken() != "")
}

func outboxOf(conn grpc.ClientConnInterface) relayv1.OutboxServiceClient {
	return relayv1.NewOutboxServiceClient(conn)
}
