package demo

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"

	eventv1 "hosho/gen/event/v1"
	"hosho/internal/follow"
	"hosho/internal/lab/stack"
)

// events are those of all daemons of a system, told to a timeline.
type events struct {
	story *timeline
	conns []*grpc.ClientConn
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// followAll begins with the first event of each daemon.
func followAll(ctx context.Context, system *stack.Stack, story *timeline) (*events, error) {
	ctx, stop := context.WithCancel(ctx)
	e := &events{story: story, stop: stop}
	for _, daemon := range append([]*stack.Process{system.Orderd, system.Paymentd}, system.Relays...) {
		conn, err := system.Dial(daemon, "operator")
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.conns = append(e.conns, conn)
		e.ended.Go(func() { follow.Follow(ctx, conn, true, story.hear) })
	}
	return e, nil
}

func (e *events) close() error {
	e.stop()
	e.ended.Wait()
	var err error
	for _, conn := range e.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// settle waits until the timeline shows all that has happened until now.
func (e *events) settle(ctx context.Context) error {
	for _, conn := range e.conns {
		now, err := position(ctx, conn)
		if err != nil {
			return err
		}
		if err := e.story.await(ctx, now.GetProcess(), now.GetLastSequence()); err != nil {
			return err
		}
	}
	e.story.lines.Flush()
	return nil
}

// position asks a daemon how far its events have come.
func position(ctx context.Context, conn *grpc.ClientConn) (*eventv1.WatchEventsResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := eventv1.NewEventServiceClient(conn).WatchEvents(ctx, &eventv1.WatchEventsRequest{},
		grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}
