package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/command"
	"hosho/internal/daemon"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// system is an orders database, a peer in paymentd's place, and whatever relays a test starts between them.
type system struct {
	t    testing.TB
	db   *pgtest.Database
	url  string // of its database, for a relay, which has the rights that it needs and no other
	bank *memory
	peer *peer
	log  *journal

	store  *orderdb.Store
	relays []*running
}

// newSystem makes a system whose peer is up.
func newSystem(t testing.TB) *system {
	t.Helper()
	s := newSystemDown(t)
	s.peer.start()
	return s
}

// newSystemDown makes a system whose peer is not up yet.
func newSystemDown(t testing.TB) *system {
	t.Helper()
	b := newMemory()
	s := &system{t: t, db: pgtest.Orders(t), bank: b, peer: newPeer(t, b), log: everything()}
	s.url = s.db.As(t, orderdb.RelayNeeds()).URL
	s.store = orderdb.New(s.db.Pool, command.Encode)
	t.Cleanup(func() {
		s.peer.kill() // first, so that no relay waits for answers that hang
		for _, r := range s.relays {
			r.stop()
		}
		if t.Failed() {
			s.log.dump(t)
		}
	})
	return s
}

// running is a relay, the whole daemon but for its flags.
type running struct {
	s      *system
	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
	log    *journal
}

// quick is a pace that never makes a test wait, with a breaker that does not open by itself. Its timeouts are long:
// tests that need short ones set them, and then give every order attempts enough for a machine that stalls.
func quick() pace {
	return pace{
		CallTimeout: 10 * time.Second, SettleTimeout: 10 * time.Second, Lease: 30 * time.Second,
		MaxAttempts: 5, Batch: 500,
		BackoffBase: time.Millisecond, BackoffCap: 10 * time.Millisecond, VoidBackoffCap: 10 * time.Millisecond,
		BreakerStreak: 10_000, PollInterval: 20 * time.Millisecond, VoidAlarm: 20, StuckAfter: order.StuckAfter,
		Wake: true,
	}
}

// relay starts a relay at the quick pace, but for changes.
func (s *system) relay(changes ...func(*pace)) *running {
	s.t.Helper()
	p := quick()
	for _, change := range changes {
		change(&p)
	}
	return s.run(&serve{
		Database: daemon.Database{DatabaseURL: s.url}, Listen: daemon.Listen{Listen: "127.0.0.1:0"},
		Durability: daemon.Durability{AllowUnsafeDurability: true},
		To:         transport{PaymentTarget: s.peer.target()}, Pace: p,
	})
}

// run starts a relay.
func (s *system) run(daemon *serve) *running {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	r := &running{s: s, cancel: cancel, ended: make(chan error, 1), log: everything()}
	r.log.also = s.log
	go func() { r.ended <- daemon.Run(ctx, slog.New(r.log)) }()
	s.relays = append(s.relays, r)
	return r
}

// stop stops the relay and waits for it.
func (r *running) stop() {
	r.once.Do(func() {
		r.cancel()
		select {
		case err := <-r.ended:
			if err != nil {
				r.s.t.Errorf("the relay ended with %v", err)
			}
		case <-time.After(longWait):
			r.s.t.Errorf("the relay does not stop")
		}
	})
}

// client returns a client of the relay's own service, once that is ready.
func (r *running) client() relayv1.OutboxServiceClient {
	return relayv1.NewOutboxServiceClient(r.conn())
}

// conn returns a connection to the relay, once that is ready.
func (r *running) conn() *grpc.ClientConn {
	t := r.s.t
	t.Helper()
	eventually(t, "the relay is ready", func() bool { return len(r.log.lines("ready")) > 0 })
	conn, err := rpc.Dial(r.log.lines("serving")[0]["address"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// place places an order, with its CHARGE in the outbox.
func (s *system) place() order.Order {
	s.t.Helper()
	o, _, err := s.store.Place(s.t.Context(), orderdb.NewOrder{
		ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", Currency: "JPY", AmountMinor: 900,
		Items: []order.Item{{Name: "tea", Quantity: 2, UnitPrice: 450}}, Deadline: 15 * time.Minute,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// placeMany places n orders in one transaction.
func (s *system) placeMany(n int) []order.Order {
	s.t.Helper()
	orders := make([]order.Order, n)
	err := pgx.BeginFunc(s.t.Context(), s.db.Pool, func(tx pgx.Tx) error {
		messages := make([]outbox.New, n)
		batch := &pgx.Batch{}
		for i := range orders {
			orders[i] = order.Order{
				ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "alice", AmountMinor: 900, Currency: "JPY",
				Status: order.Pending, DeadlineAt: time.Now().Add(15 * time.Minute),
			}
			payload, err := command.Encode(order.Charge, orders[i])
			if err != nil {
				return err
			}
			messages[i] = outbox.New{
				Key: orders[i].ID, Kind: string(order.Charge), Payload: payload, ExpiresAt: orders[i].DeadlineAt,
			}
			batch.Queue(`
				INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
				VALUES ($1, 'alice', '[{}]', 900, 'JPY', $2)`, orders[i].ID, orders[i].DeadlineAt)
		}
		if err := tx.SendBatch(s.t.Context(), batch).Close(); err != nil {
			return err
		}
		return orderdb.Outbox.Append(s.t.Context(), tx, messages...)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return orders
}

// cancelling places an order that its customer has cancelled at once. Its CHARGE is gone, as after a claim.
func (s *system) cancelling() order.Order {
	s.t.Helper()
	o := s.place()
	o, _, err := s.store.Cancel(s.t.Context(), o.ID, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.exec(`DELETE FROM outbox WHERE key = $1 AND kind = 'CHARGE'`, o.ID)
	return o
}

func (s *system) get(id string) order.Order {
	s.t.Helper()
	o, err := s.store.Get(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// await waits until an order has a status, and returns it.
func (s *system) await(id string, want order.Status) order.Order {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("order %s is %s", id, want), func() bool { return s.get(id).Status == want })
	return s.get(id)
}

// deliveries returns the log's lines about an order's command.
func (s *system) deliveries(id string, kind order.Command) []line {
	return slices.DeleteFunc(s.log.lines("delivery"), func(l line) bool {
		return l["order_id"] != id || l["kind"] != string(kind)
	})
}

func (s *system) logger() *slog.Logger { return slog.New(s.log) }

// paymentClient returns a client of the peer, as the relay has one.
func paymentClient(t testing.TB, s *system) paymentv1.PaymentServiceClient {
	t.Helper()
	conn, err := rpc.Dial(s.peer.target())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return paymentv1.NewPaymentServiceClient(conn)
}

func money(o order.Order) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor}
}

// eventually waits for something that happens elsewhere.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(longWait); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", longWait, what)
		}
	}
}

const dumped = 200
