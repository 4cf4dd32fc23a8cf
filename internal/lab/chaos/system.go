package chaos

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/failpoint"
	"hosho/internal/lab/alerts"
	"hosho/internal/lab/load"
	"hosho/internal/lab/middleman"
	"hosho/internal/lab/proxy"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
)

// application is how the databases name the connections of the experiment itself, which no fault touches.
const application = "chaos"

// system is a running system whose every connection goes through a proxy.
type system struct {
	*stack.Stack
	pace Pace

	toPaymentd  []*proxy.Proxy // the relays' links; over a broker, theirs and paymentd's to it
	toDatabases []*proxy.Proxy
	middle      *middleman.Middleman
	disks       []disk
	clock       *fakeClock // the payments database's; nil unless a fault needs it

	orders, payments *pgxpool.Pool // straight to the databases
	conn             *grpc.ClientConn
	client           orderv1.OrderServiceClient
	clients          *load.Load // set once they are at work
	logs             *logs
	fresh            map[*stack.Process]holdings // what the daemons held before anything happened

	comparer   *comparer          // these two are nil unless somebody wants to know of alerts
	prometheus *alerts.Prometheus // from when the customers are at work on

	alone bool // there is one fault in all, and nobody who watches: what comes of it is its own doing
	tell  func(format string, args ...any)
	blame func(...Violation)

	kills, crashes atomic.Int64
	owesRetries    atomic.Bool // an operator has to retry what is parked

	mu     sync.Mutex
	armed  map[failpoint.Point]int     // how many processes were to die there
	points map[failpoint.Point]int     // how many did
	spared map[*stack.Process]reprieve // that did not come by their points in time, and may yet
}

func start(ctx context.Context, c Config, faults []fault) (*system, error) {
	s := &system{
		pace: c.Pace, logs: newLogs(c.Pace.Lease), alone: len(faults) == 1 && c.AlertScale == 0,
		armed: map[failpoint.Point]int{}, points: map[failpoint.Point]int{}, spared: map[*stack.Process]reprieve{},
	}
	s.logs.unpaced = c.overBroker()
	if err := s.start(ctx, c, faults); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *system) start(ctx context.Context, c Config, faults []fault) (err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	// a recovery that lasts as long as its log, not as its files are many
	settings := map[string]string{"recovery_init_sync_method": "syncfs"}
	if slices.ContainsFunc(faults, func(f fault) bool { return f.name == "disk-full" }) {
		settings["max_wal_size"] = "256MB" // of the gigabyte that there is
		if err := s.mountDisks(c.Dir); err != nil {
			return err
		}
	}
	env, serverEnv := c.Pace.env(), map[string][]string{}
	if slices.ContainsFunc(faults, func(f fault) bool { return f.name == "clock" }) {
		env = append(env, "ORDERD_ORDER_DEADLINE="+clockDeadline.String())
		if s.clock, serverEnv["payments"], err = newFakeClock(c.Dir); err != nil {
			return err
		}
	}
	s.Stack, err = stack.Start(ctx, stack.Config{
		Bin: c.Bin, Dir: c.Dir, Durable: true, Standbys: needStandbys(faults), Admin: true, Relays: c.Relays,
		Simulate: stack.Simulate,
		Roles:    true, Password: secret, Env: env, Settings: settings, ServerEnv: serverEnv,
		LogTo: s.logs.of, Route: s.route, TLS: c.TLS, Transport: c.Transport,
	})
	if err != nil {
		return err
	}
	if c.AlertScale > 0 {
		if err := s.startComparer(c); err != nil {
			return err
		}
	}
	as := middleman.Disguise{Paymentd: s.Keeper("paymentd"), Relay: s.Keeper("relay")}
	if s.middle, err = middleman.New(s.Paymentd.Address, c.Seed, as); err != nil {
		return err
	}
	if s.orders, err = pg.Open(ctx, pg.Config{URL: s.OrdersURL(), Application: application}); err != nil {
		return err
	}
	if s.payments, err = pg.Open(ctx, pg.Config{URL: s.PaymentsURL(), Application: application}); err != nil {
		return err
	}
	if s.conn, err = s.Dial(s.Orderd, "shop"); err != nil {
		return err
	}
	s.client = orderv1.NewOrderServiceClient(s.conn)
	s.fresh = map[*stack.Process]holdings{}
	for _, p := range s.Daemons() {
		if s.fresh[p], err = holdingsOf(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) mountDisks(dir string) error {
	for _, database := range []string{"orders", "payments"} {
		d, err := mountDisk(filepath.Join(dir, database))
		if err != nil {
			return err
		}
		s.disks = append(s.disks, d)
	}
	return nil
}

// route leads every connection through a proxy.
func (s *system) route(_, to, address string) (string, error) {
	listen, links := proxy.ListenPostgres, &s.toDatabases
	if to == "paymentd" || to == "broker" {
		listen, links = proxy.Listen, &s.toPaymentd
	}
	p, err := listen(address)
	if err != nil {
		return "", err
	}
	*links = append(*links, p)
	return p.Address(), nil
}

// kill kills a daemon.
func (s *system) kill(p *stack.Process) {
	p.Kill()
	s.kills.Add(1)
}

func (s *system) accepted() int64 {
	if s.clients == nil {
		return 0
	}
	return s.clients.Accepted()
}

// fallen returns the daemons that have ended, and starts them again. Those that no fault has ended have ended by
// themselves.
func (s *system) fallen() (byThemselves []string, err error) {
	for _, p := range s.Daemons() {
		select {
		case <-p.Exited():
		default:
			continue
		}
		if point, late := s.late(p, time.Now()); late {
			s.kills.Add(1)
			s.died(point)
		} else {
			byThemselves = append(byThemselves, p.Name)
		}
		err = errors.Join(err, p.Start())
	}
	return byThemselves, err
}

// stop stops what has been started. The databases stay where they are, as files.
func (s *system) stop() error {
	var err error
	if s.prometheus != nil {
		err = s.prometheus.Stop()
	}
	if s.comparer != nil && s.comparer.child != nil {
		err = errors.Join(err, s.comparer.stop())
	}
	if s.conn != nil {
		err = errors.Join(err, s.conn.Close())
	}
	for _, pool := range []*pgxpool.Pool{s.orders, s.payments} {
		if pool != nil {
			pool.Close()
		}
	}
	if s.middle != nil {
		err = errors.Join(err, s.middle.Close())
	}
	if s.Stack != nil {
		err = errors.Join(err, s.Stack.Stop())
	}
	for _, p := range slices.Concat(s.toPaymentd, s.toDatabases) {
		err = errors.Join(err, p.Close())
	}
	for _, d := range s.disks {
		err = errors.Join(err, d.unmount())
	}
	return err
}
