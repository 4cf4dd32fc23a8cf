package stack_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/failpoint"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/slow"
)

var (
	bin    string // the daemons, built as for use
	mortal string // the daemons with failpoints
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() { // every test leaves itself out, and nothing need be built
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

// run builds the daemons once for every test.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hosho-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin, mortal = filepath.Join(dir, "plain"), filepath.Join(dir, "mortal")
	if err := errors.Join(stack.Build(context.Background(), bin),
		stack.Build(context.Background(), mortal, "-tags", failpoint.Tag)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// The relays' pace in these tests: as in production, and a few times faster.
const (
	lease       = 3 * time.Second
	maxAttempts = 5
	longestWait = time.Minute + lease // a peer may ask for a minute, and the retry budget may take one
)

var pace = []string{
	"RELAY_CALL_TIMEOUT=1s", "RELAY_SETTLE_TIMEOUT=1s", "RELAY_LEASE=" + lease.String(),
	"RELAY_BACKOFF_BASE=20ms", "RELAY_BACKOFF_CAP=500ms", "RELAY_VOID_BACKOFF_CAP=1s", "RELAY_POLL_INTERVAL=200ms",
}

// system is a stack with what a test needs to look at it.
type system struct {
	*stack.Stack
	orders, payments *pgxpool.Pool
	client           orderv1.OrderServiceClient
}

func start(t *testing.T, bin string, relays int) *system {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // the databases may run as another user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := stack.Start(t.Context(), stack.Config{
		Bin: bin, Dir: dir, Durable: true, Relays: relays, Simulate: stack.Simulate, Env: pace,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := rpc.Dial(s.Orderd.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &system{
		Stack: s, orders: open(t, s.OrdersURL()), payments: open(t, s.PaymentsURL()),
		client: orderv1.NewOrderServiceClient(conn),
	}
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(context.Background(), pg.Config{URL: url, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// await polls the orders database until a query returns true.
func (s *system) await(t *testing.T, what, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		var done bool
		if err := s.orders.QueryRow(ctx, query, args...).Scan(&done); err != nil {
			t.Fatalf("wait until %s: %v", what, err)
		}
		if done {
			return
		}
		<-poll.C
	}
}

const (
	allSettled = `SELECT NOT EXISTS (SELECT FROM orders WHERE status IN ('PENDING', 'CANCELLING'))`
	holdsAll   = `
		SELECT count(*) FILTER (WHERE lease_token IS NOT NULL AND ready_at > clock_timestamp()) = $1
		FROM outbox`
)

// agree checks every invariant over both databases.
func (s *system) agree(t *testing.T, quiet bool) invariant.Report {
	t.Helper()
	report, err := invariant.Check(t.Context(), s.orders, s.payments, invariant.Options{
		Quiet: quiet, Simulated: true, MaxAttempts: maxAttempts, LongestWait: longestWait,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	return report
}

// noAlarms checks that no relay asked for a person (I15: no key was in conflict, and no assumption broke), and that no
// daemon had a data race or a panic.
func (s *system) noAlarms(t *testing.T) {
	t.Helper()
	for _, daemon := range s.Daemons() {
		log, err := os.ReadFile(daemon.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, alarm := range []string{"order needs a person", "DATA RACE", "panic: "} {
			if i := bytes.Index(log, []byte(alarm)); i >= 0 {
				t.Errorf("%s: %s", daemon.Name, log[i:min(i+2000, len(log))])
			}
		}
	}
}

func (s *system) place(t *testing.T, amount int64) string {
	t.Helper()
	reply, err := s.client.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
		CustomerId: "test", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: amount}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetOrder().GetOrderId()
}

// Customers order and cancel while every process dies again and again, each time at another of its failpoints: between
// two writes, after a commit that nobody was told of, with a reply in hand. Afterwards no acknowledged order is lost,
// and both databases agree about all of them.
func TestNothingIsLostWhenProcessesDieUnderLoad(t *testing.T) {
	t.Parallel()
	const deaths = 53 // of each daemon
	s := start(t, mortal, 2)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clients := load.New(load.Config{Orders: s.client, Clients: 32, Seed: seed, CancelWithin: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { clients.Run(ctx, t.Context()) })

	group, dying := errgroup.WithContext(t.Context())
	for _, victim := range s.Daemons() {
		group.Go(func() error { return s.dieAgainAndAgain(dying, victim, deaths, clients) })
	}
	died := make(chan error)
	go func() { died <- group.Wait() }()
	for look := time.NewTicker(5 * time.Second); ; {
		select {
		case <-look.C:
			s.agree(t, false) // a running system raises no false alarm
			continue
		case err := <-died:
			if err != nil {
				t.Fatal(err)
			}
		}
		break
	}
	stop()
	working.Wait()
	s.await(t, "every order is settled", allSettled)

	report := s.agree(t, true)
	wrong, err := clients.Check(t.Context(), s.orders)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	s.noAlarms(t)
	t.Logf("%d deaths, %d orders acknowledged; orders: %s; payments: %s", deaths*len(s.Daemons()), clients.Accepted(),
		invariant.Line(report.Orders), invariant.Line(report.Payments))
	if report.Orders["COMPLETED"] == 0 || report.Orders["CANCELLED"] == 0 {
		t.Errorf("got orders %v, want some COMPLETED and some CANCELLED", report.Orders)
	}
}

// dieAgainAndAgain has a daemon die so often, at one of its failpoints after the other, each time when some more orders
// were accepted.
func (s *system) dieAgainAndAgain(ctx context.Context, victim *stack.Process, times int, clients *load.Load) error {
	binary, _, _ := strings.Cut(victim.Name, "-")
	points := failpoint.Points[binary]
	for n := range times {
		if err := clients.AwaitAccepted(ctx, clients.Accepted()+int64(n%10)); err != nil {
			return err
		}
		point := points[n%len(points)]
		if err := victim.Arm(string(point) + "=kill"); err != nil {
			return err
		}
		select {
		case <-victim.Exited():
		case <-time.After(time.Minute):
			return fmt.Errorf("%s did not come by %s in a minute", victim.Name, point)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := errors.Join(victim.Arm(""), victim.Start()); err != nil {
			return err
		}
	}
	return nil
}

// A relay claims orders, sends their charges to a paymentd that is frozen, and is killed. The next relay takes the
// claims over when their leases end.
func TestKilledRelayLeavesItsClaimsToTheNext(t *testing.T) {
	t.Parallel()
	const orders = 20
	s := start(t, bin, 1)
	s.Paymentd.Signal(syscall.SIGSTOP)
	for range orders {
		s.place(t, 1200)
	}
	s.await(t, "the relay holds every order", holdsAll, orders)
	s.Relays[0].Kill()
	killed := time.Now()
	s.Paymentd.Signal(syscall.SIGCONT)
	if err := s.Relays[0].Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "every order is settled", allSettled)
	t.Logf("relay killed with %d claims: settled after %v, lease %v", orders,
		time.Since(killed).Round(time.Millisecond), lease)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != orders {
		t.Errorf("got orders %v, want %d COMPLETED", report.Orders, orders)
	}
}

// paymentd is down, and stays down until the relay has found out and probes it. Orders wait meanwhile: an outage
// cancels none of them.
func TestOrdersWaitWhilePaymentdIsDown(t *testing.T) {
	t.Parallel()
	const orders = 40
	s := start(t, bin, 1)
	s.Paymentd.Kill()
	for range orders {
		s.place(t, 1200)
	}
	s.await(t, "five orders were tried and three of them again", `
		SELECT count(*) FILTER (WHERE claims > 0) >= 5 AND sum(claims) >= 8 FROM outbox`)
	report := s.agree(t, false)
	if report.Orders["PENDING"] != orders {
		t.Errorf("got orders %v while paymentd is down, want %d PENDING", report.Orders, orders)
	}
	if err := s.Paymentd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "every order is settled", allSettled)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != orders {
		t.Errorf("got orders %v, want %d COMPLETED", report.Orders, orders)
	}
}

// One order after the other, on a system that has nothing else to do. The figures are printed, not judged.
func TestLatencyOfAnIdleSystem(t *testing.T) {
	const orders = 200
	s := start(t, bin, 1)
	var took []time.Duration
	for range orders {
		begin := time.Now()
		id := s.place(t, 1200)
		watch, err := s.client.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		var last orderv1.Order_Status
		for {
			reply, err := watch.Recv()
			if err != nil {
				break
			}
			last = reply.GetOrder().GetStatus()
		}
		if last != orderv1.Order_STATUS_COMPLETED {
			t.Fatalf("order %s: got %v, want COMPLETED", id, last)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("create -> settled, one at a time: p50 %v, p99 %v, max %v", took[orders/2], took[orders*99/100],
		took[orders-1])
}
