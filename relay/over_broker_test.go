package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "hosho/gen/events/v1"
	moneyv1 "hosho/gen/money/v1"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/daemon"
	"hosho/internal/envelope"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/order"
)

const prefix = "relaytest"

// market is a system with a broker between its relays and whoever plays paymentd.
type market struct {
	*system

	server   *brokers.Broker
	broker   broker.Broker
	payments string // the identity of the payments database that is spoken for

	mu    sync.Mutex
	heard []envelope.Letter // order events so far
}

// newMarket makes a market in which every order event is heard. Nobody answers by himself.
func newMarket(t *testing.T) *market {
	t.Helper()
	m := &market{
		system: newSystemDown(t), server: brokertest.Start(t, brokers.NATS), payments: uuid.NewString(),
	}
	flags := connect.Flags{BrokerURL: m.server.URL(), BrokerPrefix: prefix}
	b, err := flags.Open("market", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.broker = b
	t.Cleanup(b.Close)
	plan, err := broker.PlanOf(prefix, broker.MinRetention, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Declare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	m.listen(t)
	return m
}

// listen hears order events until the test ends.
func (m *market) listen(t *testing.T) {
	subscription := m.broker.Subscribe(broker.Orders(prefix), broker.Paymentd)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var listening sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		listening.Wait()
		subscription.Close()
	})
	listening.Go(func() {
		for ctx.Err() == nil {
			batch, err := subscription.Fetch(ctx, 100)
			if err != nil {
				continue
			}
			ok := make([]bool, len(batch.Events))
			m.mu.Lock()
			for i, e := range batch.Events {
				l, err := envelope.Open(envelope.Orders, e)
				if err != nil {
					t.Errorf("an order event: %v", err)
				}
				m.heard, ok[i] = append(m.heard, l), true
			}
			m.mu.Unlock()
			batch.Done(ok)
		}
	})
}

// trade starts a relay that works over the broker.
func (m *market) trade(changes ...func(*pace)) *running {
	m.t.Helper()
	p := quick()
	p.Resend, p.ResendCap = time.Minute, time.Hour
	for _, change := range changes {
		change(&p)
	}
	return m.run(&serve{
		Database: daemon.Database{DatabaseURL: m.url}, Listen: daemon.Listen{Listen: "127.0.0.1:0"},
		Durability: daemon.Durability{AllowUnsafeDurability: true}, Pace: p,
		To: transport{Transport: "nats", Flags: connect.Flags{BrokerURL: m.server.URL(), BrokerPrefix: prefix}},
	})
}

// events returns the order events about an order so far.
func (m *market) events(id string) (all []envelope.Letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.heard {
		if l.Key == id {
			all = append(all, l)
		}
	}
	return all
}

// awaitSend waits for a send of an order's command.
func (m *market) awaitSend(id string, kind order.Command, send int32) envelope.Letter {
	m.t.Helper()
	var found envelope.Letter
	eventually(m.t, "a send of the order's command", func() bool {
		for _, l := range m.events(id) {
			_, placed := l.Message.(*eventsv1.OrderPlaced)
			if l.Send == send && placed == (kind == order.Charge) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

// say publishes what a payments database says.
func (m *market) say(database, id string, message proto.Message) {
	m.t.Helper()
	e, err := envelope.Seal(broker.Payments(prefix), envelope.Letter{
		Side: envelope.Payments, Database: database, Key: id, Time: time.Now(), Message: message,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	e.Send = int32(time.Now().UnixNano()) // no duplicate to the broker
	ctx, cancel := context.WithTimeout(m.t.Context(), longWait)
	defer cancel()
	if errs := m.broker.Publish(ctx, []broker.Event{e}); errs[0] != nil {
		m.t.Fatal(errs[0])
	}
}

func amountOf(o order.Order) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor}
}

func charged(o order.Order) *eventsv1.PaymentCharged {
	return &eventsv1.PaymentCharged{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amountOf(o), ChargeTime: timestamppb.Now(),
	}
}

func declined(o order.Order) *eventsv1.PaymentDeclined {
	return &eventsv1.PaymentDeclined{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amountOf(o), DeclineTime: timestamppb.Now(),
	}
}

func voided(o order.Order) *eventsv1.PaymentVoided {
	return &eventsv1.PaymentVoided{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amountOf(o), VoidTime: timestamppb.Now(),
	}
}

func TestOrdersAreSettledByWhatIsHeard(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	for want, says := range map[order.Status]func(order.Order) proto.Message{
		order.Completed: func(o order.Order) proto.Message { return charged(o) },
		order.Cancelled: func(o order.Order) proto.Message { return declined(o) },
	} {
		o := m.place()
		l := m.awaitSend(o.ID, order.Charge, 1)
		placed := l.Message.(*eventsv1.OrderPlaced)
		if !placed.GetDeadlineTime().AsTime().Equal(o.DeadlineAt) || !proto.Equal(placed.GetAmount(), amountOf(o)) {
			t.Errorf("got %v, want the order's own event", l.Message)
		}
		m.say(m.payments, o.ID, says(o))
		m.await(o.ID, want)
	}
	o := m.cancelling()
	if l := m.awaitSend(o.ID, order.Void, 1); !proto.Equal(l.Message, &eventsv1.OrderCancelling{
		OrderId: o.ID, CustomerId: o.CustomerID, Amount: amountOf(o), PaymentsDatabase: m.payments, Send: 1,
	}) {
		t.Errorf("got %v, want the order's cancellation", l.Message)
	}
	m.say(m.payments, o.ID, voided(o))
	m.await(o.ID, order.Cancelled)
	eventually(t, "nothing is left", func() bool { return m.count(`SELECT count(*) FROM outbox`) == 0 })
}
