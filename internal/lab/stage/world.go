package stage

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"hosho/internal/lab/demo"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/pgembed"
	"hosho/migrations"
)

// world is one of the two: hosho, or its twin.
type world struct {
	paymentd *stack.Process
	relays   []*stack.Process // the twin has none
	links    *Links           // to paymentd

	saga  *demo.Saga  // in hosho
	naive *demo.Naive // in the twin

	orders, payments *pgxpool.Pool // to read the books with
}

// close ends what was made for a world. The processes and links of hosho are not the stage's.
func (w *world) close() error {
	if w == nil {
		return nil
	}
	for _, pool := range []*pgxpool.Pool{w.orders, w.payments} {
		if pool != nil {
			pool.Close()
		}
	}
	var err error
	if w.saga != nil {
		return w.saga.Close()
	}
	if w.naive != nil {
		err = w.naive.Close()
	}
	return errors.Join(err, w.paymentd.Stop(), w.links.Close())
}

// worlds returns both, and makes them when they are needed first.
func (s *Stage) worlds() (right, left *world, err error) {
	if right, err = s.hosho(); err != nil {
		return nil, nil, err
	}
	left, err = s.twin()
	return right, left, err
}

// hosho connects with nothing yet.
func (s *Stage) hosho() (*world, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.right != nil {
		return s.right, nil
	}
	w := &world{paymentd: s.system.Paymentd, relays: s.system.Relays, links: s.links}
	var err error
	if w.orders, w.payments, err = open(s.system.OrdersURL(), s.system.PaymentsURL()); err != nil {
		return nil, err
	}
	if w.saga, err = demo.NewSaga(s.system, story{}); err != nil {
		w.orders.Close()
		w.payments.Close()
		return nil, err
	}
	s.right = w
	return w, nil
}

// open makes the pools that the books are read with. They connect when that is done first.
func open(ordersURL, paymentsURL string) (orders, payments *pgxpool.Pool, err error) {
	const conns = 2
	config := pg.Config{URL: ordersURL, Application: "stage", MaxConns: conns}
	if orders, err = pg.Open(context.Background(), config); err != nil {
		return nil, nil, err
	}
	config.URL = paymentsURL
	if payments, err = pg.Open(context.Background(), config); err != nil {
		orders.Close()
		return nil, nil, err
	}
	return orders, payments, nil
}

// twin starts the twin. That is done once, and tried again when it has failed; whoever comes meanwhile waits for it.
func (s *Stage) twin() (*world, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if w := s.twinNow(); w != nil {
		return w, nil
	}
	w, err := startTwin(s.ctx, s.system)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.left = w
	s.mu.Unlock()
	return w, nil
}

// twinNow is the twin, or nil when it is not there.
func (s *Stage) twinNow() *world {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// The twin's databases are on the servers of the others.
const (
	ordersDatabase   = "naive_orders"
	paymentsDatabase = "naive_payments"
)

// startTwin makes its databases, and starts a paymentd that simulates the same card network.
func startTwin(ctx context.Context, system *stack.Stack) (*world, error) {
	if err := makeDatabases(ctx, system); err != nil {
		return nil, err
	}
	orders, payments := system.Orders.URL(ordersDatabase), system.Payments.URL(paymentsDatabase)
	paymentd, err := system.Another("paymentd", "naive-paymentd",
		"PAYMENTD_DATABASE_URL="+payments, "PAYMENTD_SIMULATE="+stack.Simulate)
	if err != nil {
		return nil, err
	}
	w := &world{paymentd: paymentd, links: &Links{}}
	if err := w.startTwin(ctx, system, orders, payments); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) startTwin(ctx context.Context, system *stack.Stack, orders, payments string) error {
	over, err := w.links.dialing(w.paymentd.Address)
	if err != nil {
		return err
	}
	if err := start(ctx, w.paymentd); err != nil {
		return err
	}
	if w.orders, w.payments, err = open(orders, payments); err != nil {
		return err
	}
	w.naive, err = demo.NewNaive(ctx, demo.NaiveConfig{
		OrdersURL: orders, PaymentsURL: payments, Paymentd: w.paymentd, Compensate: true,
		Dial: func() (*grpc.ClientConn, error) { return system.Dial(w.paymentd, "relay", over) },
	}, story{})
	return err
}

func makeDatabases(ctx context.Context, system *stack.Stack) error {
	group, ctx := errgroup.WithContext(ctx)
	make := func(server *pgembed.Server, name string, set migrations.Set) func() error {
		return func() error {
			if err := server.CreateDatabase(ctx, name); err != nil {
				return err
			}
			_, err := set.Up(ctx, server.URL(name), nil)
			return err
		}
	}
	group.Go(make(system.Orders, ordersDatabase, migrations.Orders))
	group.Go(make(system.Payments, paymentsDatabase, migrations.Payments))
	return group.Wait()
}
