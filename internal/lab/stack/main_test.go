package stack_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/failpoint"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
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

func start(t *testing.T, bin string, relays int, options ...func(*stack.Config)) *system {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // the databases may run as another user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := stack.Config{
		Bin: bin, Dir: dir, Durable: true, Relays: relays, Simulate: stack.Simulate, Env: pace,
	}
	for _, set := range options {
		set(&config)
	}
	s, err := stack.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := s.Dial(s.Orderd, "shop")
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
		SELECT count(*) FILTER (
			WHERE lease_token IS NOT NULL AND greatest(ready_at, leased_until) > clock_timestamp()
		) = $1
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
// daemon had a data race or a panic. That a broker is away for long, as one is that takes seconds to start, is no such
// alarm.
func (s *system) noAlarms(t *testing.T) {
	t.Helper()
	for _, daemon := range s.Daemons() {
		log, err := os.ReadFile(daemon.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		for rest := log; len(rest) > 0; {
			line, after, _ := bytes.Cut(rest, []byte("\n"))
			alarm := bytes.Contains(line, []byte("order needs a person")) &&
				!bytes.Contains(line, []byte(`"code":"BROKER_UNAVAILABLE"`))
			if alarm || bytes.Contains(line, []byte("DATA RACE")) || bytes.Contains(line, []byte("panic: ")) {
				t.Errorf("%s: %s", daemon.Name, rest[:min(2000, len(rest))])
				break
			}
			rest = after
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
