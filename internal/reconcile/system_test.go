package reconcile_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/reconcile"
	"hosho/internal/rpc"
	"hosho/internal/slow"
)

// The real daemons at work: clients order, repeat, watch and cancel, while the databases are reconciled again and
// again, in windows that are small, so that many of them meet what is under way. Nothing is ever found. Then the relays
// are stopped, damage is planted and repaired, and the relays settle what was put back by their ordinary rules.
func TestARealSystem(t *testing.T) {
	t.Parallel()
	orders := int64(slow.Times(400, 1500))
	s := start(t)
	clients := load.New(load.Config{Orders: s.client, Clients: 16, Seed: 1, CancelWithin: 50 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { clients.Run(ctx, t.Context()) })
	runs, under := 0, int64(0)
	for clients.Accepted() < orders {
		got, found, summary := look(t, s.orders, s.payments, reconcile.Options{Window: 100, StuckAfter: time.Minute})
		if len(got) > 0 {
			t.Fatalf("run %d, a healthy system under load: got %+v, want nothing", runs, found)
		}
		runs, under = runs+1, max(under, summary.UnderWay)
	}
	stop()
	working.Wait()
	s.awaitSettled(t)
	t.Logf("%d runs, up to %d orders under way, %d accepted", runs, under, clients.Accepted())
	if under == 0 {
		t.Error("got no order under way in any run, want some")
	}

	stranded := s.plant(t)
	got, found, summary := look(t, s.orders, s.payments, reconcile.Options{StuckAfter: time.Minute, Repair: true})
	if !slices.Equal(got, stranded) || summary.PutBack != 2 || summary.MadeDue != 1 {
		t.Errorf("got %+v, put back %d, made due %d; want %q, 2 and 1", found, summary.PutBack, summary.MadeDue,
			stranded)
	}
	for _, relay := range s.Relays {
		if err := relay.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitSettled(t)
	got, found, summary = look(t, s.orders, s.payments, reconcile.Options{})
	if len(got) > 0 || summary.UnderWay > 0 {
		t.Errorf("after the repair: got %+v and %d under way, want nothing", found, summary.UnderWay)
	}
}

// real is a running system.
type real struct {
	*stack.Stack
	orders, payments *pgxpool.Pool
	client           orderv1.OrderServiceClient
	paymentd         paymentv1.PaymentServiceClient
}

func start(t *testing.T) *real {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	dir, err := os.MkdirTemp("/tmp", "hosho-r-") // short: the databases' sockets are in there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Config{
		Bin: bin, Dir: filepath.Join(dir, "data"), Relays: 2, Simulate: stack.Simulate,
		Env: []string{"RELAY_BACKOFF_BASE=20ms", "RELAY_BACKOFF_CAP=200ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := &real{Stack: s, orders: open(t, s.OrdersURL()), payments: open(t, s.PaymentsURL())}
	orderd, err := rpc.Dial(s.Orderd.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { orderd.Close() })
	paymentd, err := rpc.Dial(s.Paymentd.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { paymentd.Close() })
	r.client, r.paymentd = orderv1.NewOrderServiceClient(orderd), paymentv1.NewPaymentServiceClient(paymentd)
	return r
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// awaitSettled waits until no order is under way.
func (r *real) awaitSettled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var left int
		err := r.orders.QueryRow(ctx, `
			SELECT count(*) FROM orders WHERE status IN ('PENDING', 'CANCELLING')`).Scan(&left)
		if err != nil {
			t.Fatalf("wait until every order is settled: %d are not: %v", left, err)
		}
		if left == 0 {
			return
		}
		<-poll.C
	}
}

// plant stops the relays, places orders and damages them. It returns what is to be found.
func (r *real) plant(t *testing.T) []string {
	t.Helper()
	for _, relay := range r.Relays { // and not killed: what is placed would be born with a dead one's claim
		if err := relay.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	place := func() string {
		reply, err := r.client.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
			CustomerId: "ada", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return reply.GetOrder().GetOrderId()
	}
	uncharged, unvoided, waiting := place(), place(), place()
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: unvoided}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.paymentd.ChargePayment(t.Context(), &paymentv1.ChargePaymentRequest{
		PaymentId: waiting, CustomerId: "ada", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 600},
	}); err != nil {
		t.Fatal(err)
	}
	run(t, r.orders, `DELETE FROM outbox WHERE key = ANY($1::uuid[])`, []string{uncharged, unvoided})
	run(t, r.orders, `UPDATE outbox SET ready_at = now() + interval '1 day' WHERE key = $1`, waiting)
	run(t, r.payments, `UPDATE payments SET updated_at = now() - interval '1 hour' WHERE id = $1`, waiting)
	want := []string{"stranded " + uncharged, "stranded " + unvoided, "paid-not-completed " + waiting}
	slices.Sort(want)
	return want
}
