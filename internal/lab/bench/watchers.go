package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/wait"
)

const (
	watchedBy    = 10  // watchers of an order
	watchesBy    = 500 // watchers of a connection
	cancellers   = 8
	watchersTime = 2 * time.Minute // until all watch, or have been told
	parkedFor    = 24 * time.Hour  // longer than any run
)

// watchers measures the load beside thousands who watch orders that do not change: their commands wait for a person.
// Then the orders are cancelled, and every watcher must be told.
func (s *system) watchers(ctx context.Context) error {
	first, err := s.load(ctx, s.spec("without watchers"))
	s.keep(first)
	if err != nil || ctx.Err() != nil {
		return err
	}
	many := load.Many{
		N: (s.config.Watchers + watchedBy - 1) / watchedBy, Customer: load.Customer + "watched",
		Deadline: time.Now().Add(parkedFor), Parked: true,
	}
	ids, err := many.Place(ctx, s.orders)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	s.resting = int64(len(ids))
	a, err := s.audience(ctx, ids)
	if err != nil {
		return err
	}
	defer a.close()
	p := s.spec(fmt.Sprintf("%d watchers", s.config.Watchers))
	l, err := s.load(ctx, p)
	s.keep(l)
	s.about(l)
	if err != nil || ctx.Err() != nil {
		return err
	}
	s.beside("beside "+p.name, l, first)
	s.resting = 0
	if err := s.cancelAll(ctx, ids); err != nil {
		return err
	}
	if _, err := s.drain(ctx); err != nil {
		return err
	}
	if told := a.wait(ctx); told != int64(s.config.Watchers) && ctx.Err() == nil {
		s.broke("%d of %d watchers were told that their order is CANCELLED", told, s.config.Watchers)
	}
	return ctx.Err()
}

// audience is those who watch.
type audience struct {
	conns          []*grpc.ClientConn
	stop           context.CancelFunc
	all            sync.WaitGroup
	watching, told atomic.Int64
}

// audience returns when everybody watches.
func (s *system) audience(ctx context.Context, ids []string) (*audience, error) {
	watching, stop := context.WithCancel(ctx)
	a := &audience{stop: stop}
	for n := 0; n < s.config.Watchers; n += watchesBy {
		conn, err := s.Dial(s.Orderd, "shop")
		if err != nil {
			a.close()
			return nil, err
		}
		a.conns = append(a.conns, conn)
	}
	for n := range s.config.Watchers {
		client := orderv1.NewOrderServiceClient(a.conns[n/watchesBy])
		a.all.Go(func() { a.watch(watching, client, ids[n/watchedBy]) })
	}
	for began := time.Now(); a.watching.Load() < int64(s.config.Watchers); {
		s.tick(fmt.Sprintf("%d watch", a.watching.Load()))
		if time.Since(began) > watchersTime || !wait.For(ctx, 10*time.Millisecond) {
			n := a.watching.Load()
			a.close()
			return nil, errors.Join(fmt.Errorf("%d watch, want %d", n, s.config.Watchers), ctx.Err())
		}
	}
	return a, nil
}

// watch watches one order to its end. One who is refused comes again.
func (a *audience) watch(ctx context.Context, client orderv1.OrderServiceClient, id string) {
	for seen := false; ctx.Err() == nil; wait.For(ctx, retryPause) {
		stream, err := client.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
		for err == nil {
			var reply *orderv1.WatchOrderResponse
			if reply, err = stream.Recv(); err == nil && !seen {
				seen = true
				a.watching.Add(1)
			}
			if reply.GetOrder().GetStatus() == orderv1.Order_STATUS_CANCELLED {
				a.told.Add(1)
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
	}
}

// wait returns how many were told, when all have been or the time is over.
func (a *audience) wait(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, watchersTime)
	defer cancel()
	defer context.AfterFunc(ctx, a.stop)()
	a.all.Wait()
	return a.told.Load()
}

func (a *audience) close() {
	a.stop()
	a.all.Wait()
	for _, conn := range a.conns {
		_ = conn.Close() // it was given up
	}
}

// cancelAll cancels orders as their customers would.
func (s *system) cancelAll(ctx context.Context, ids []string) error {
	s.tell(fmt.Sprintf("cancelling the %d orders that were watched", len(ids)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cancellers)
	one := &caller{system: s, to: newRecorder(false)}
	for n, id := range ids {
		group.Go(func() error {
			return one.persist(ctx, func(ctx context.Context) error {
				_, err := s.clients[n%len(s.clients)].CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
				return err
			})
		})
	}
	return group.Wait()
}
