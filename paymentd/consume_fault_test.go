package main

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	eventsv1 "hosho/gen/events/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/card"
	"hosho/internal/lab/proxy"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/wait"
)

// wantDead fails the test unless so many events became dead letters.
func (s *shop) wantDead(want float64) {
	s.t.Helper()
	if got := s.fates()["dead"]; got != want {
		s.t.Errorf("got %v dead letters, want %v", got, want)
	}
}

// hearCharged waits until each of some charges is said to be charged, and fails the test for whatever else is said.
func (s *shop) hearCharged(all []*paymentv1.ChargePaymentRequest) {
	s.t.Helper()
	var missing []string
	for _, c := range all {
		missing = append(missing, c.GetPaymentId())
	}
	for len(missing) > 0 {
		letter := s.hear()
		if _, ok := letter.Message.(*eventsv1.PaymentCharged); !ok {
			s.t.Fatalf("got %T %v, want charges alone", letter.Message, letter.Message)
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == letter.Key })
	}
}

// The payments database is away for a while. Events wait, which is nobody's fault: none is refused, none is dead, and
// all are decided when it is back.
func TestEventsWaitWhileTheDatabaseIsAway(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		db := pgtest.Payments(t)
		address, err := url.Parse(db.As(t, paymentdb.Needs()).URL)
		if err != nil {
			t.Fatal(err)
		}
		link, err := proxy.Listen(address.Host)
		if err != nil {
			t.Fatal(err)
		}
		address.Host = link.Address()
		pool, err := pg.Open(t.Context(), pg.Config{URL: address.String(), Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			pool.Close()
			if err := link.Close(); err != nil {
				t.Error(err)
			}
		})
		s := openShop(t, kind)
		s.system = startOn(t, db, pool, s.consume)
		first := newCharge(500)
		s.say(placed(first, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{first})

		link.Set(proxy.Link{Refuse: true})
		link.Reset()
		var orders []*paymentv1.ChargePaymentRequest
		for range 5 {
			orders = append(orders, newCharge(500))
			s.say(placed(orders[len(orders)-1], 1))
		}
		s.log.await("cannot take events from the broker")
		link.Set(proxy.Link{})
		s.hearCharged(orders)
		s.wantDead(0)
	})
}

// Somebody took the ledger away: an error of every command, and of no order.
func TestEventsWaitWhileTheDatabaseIsMisconfigured(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		first, second := newCharge(500), newCharge(500)
		s.say(placed(first, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{first})
		s.exec(t, `ALTER TABLE ledger RENAME TO elsewhere`)
		s.say(placed(second, 1))
		s.log.awaitAbout(second.GetPaymentId())
		s.exec(t, `ALTER TABLE elsewhere RENAME TO ledger`)
		s.hearCharged([]*paymentv1.ChargePaymentRequest{second})
		s.wantDead(0)
	})
}

// An order of the same batch that nothing can be done for is refused, and its neighbours are paid.
func TestAnEventThatCannotBeDecidedIsRefusedAlone(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		known := newCharge(500)
		s.charge(t, known)
		reused, broken, badVoid, good := newCharge(700), newCharge(0), newCharge(0), newCharge(500)
		reused.PaymentId = known.GetPaymentId()
		s.say(placed(reused, 2), placed(broken, 1), cancelling(badVoid, 4), placed(good, 1))
		heard := map[string]proto.Message{}
		for range 4 {
			letter := s.hear()
			heard[letter.Key] = letter.Message
		}
		wantRefusal(t, heard[reused.GetPaymentId()], reused, toCharge, 2, codes.AlreadyExists, "KEY_REUSED")
		wantRefusal(t, heard[broken.GetPaymentId()], broken, toCharge, 1, codes.InvalidArgument, "INVALID_FIELDS")
		wantRefusal(t, heard[badVoid.GetPaymentId()], badVoid, toVoid, 4, codes.InvalidArgument, "INVALID_FIELDS")
		wantHeard[*eventsv1.PaymentCharged](t, heard[good.GetPaymentId()], good)
	})
}

// The first orders database that is met is trusted. What another says is not acted on, until an operator accepts it.
func TestAnotherOrdersDatabaseIsNotActedOn(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		first, theirs, last := newCharge(500), newCharge(500), newCharge(500)
		s.say(placed(first, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{first})

		stranger := newID()
		s.sayAs(stranger, placed(theirs, 1), cancelling(first, 1))
		s.log.await("an event of another orders database is not acted on")
		s.say(placed(last, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{last}) // and nothing else
		if n := s.count(t, "payments", theirs.GetPaymentId()); n != 0 {
			t.Errorf("got %d payments of another orders database, want none", n)
		}
		ignored := figures(t, s.counts, "hosho_paymentd_events_ignored_total")
		if ignored[string(anotherOrders)] != 2 {
			t.Errorf("got %v events that were not acted on, want 2 of another orders database", ignored)
		}

		is, err := s.GetDatabase(t.Context(), &paymentv1.GetDatabaseRequest{})
		if err != nil || is.GetOrdersDatabase() != s.database || is.GetRefusedOrdersDatabase() != stranger {
			t.Errorf("got %v, %v, want to be told that %s is trusted, and %s is not", is, err, s.database, stranger)
		}
		_, err = s.AcceptOrdersDatabase(t.Context(), &paymentv1.AcceptOrdersDatabaseRequest{
			OrdersDatabase: stranger, Operator: "ada", Reason: "moved",
		})
		if err != nil {
			t.Fatal(err)
		}
		s.sayAs(stranger, placed(theirs, 2))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{theirs})
	})
}

// An order that means another payments database is not paid here, and its orders database is not the first that was
// met.
func TestAnEventThatMeansAnotherPaymentsDatabaseIsNotActedOn(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		theirs, ours := newCharge(500), newCharge(500)
		theirs.PaymentsDatabase, ours.PaymentsDatabase = newID(), strings.ToUpper(s.identity(t))
		s.sayAs(newID(), placed(theirs, 1), cancelling(theirs, 1))
		s.log.await("the event of an order means another payments database: it is not acted on")
		s.say(placed(ours, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{ours})
		if n := s.count(t, "payments", theirs.GetPaymentId()); n != 0 {
			t.Errorf("got %d payments that mean another payments database, want none", n)
		}
		ignored := figures(t, s.counts, "hosho_paymentd_events_ignored_total")
		if ignored[string(anotherPayments)] != 2 {
			t.Errorf("got %v events that were not acted on, want 2 that mean another payments database", ignored)
		}
	})
}

// What claims to be ours and cannot be read is a dead letter, which says why. What is another's is left alone.
func TestAnEventThatCannotBeReadIsADeadLetter(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		event := func(source, kind string, data ...byte) broker.Event {
			return broker.Event{
				Topic: broker.Orders(s.prefix), ID: newID(), Source: source, Type: kind, Subject: newID(),
				Time: time.Now(), ContentType: "application/protobuf", Data: data,
			}
		}
		ours := "urn:hosho:orders:" + s.database
		s.publish(
			event(ours, "events.v1.OrderPlaced", 0xff), event(ours, "events.v1.OrderSent"),
			event("urn:shop:orders:1", "events.v1.OrderPlaced", 0xff),
		)
		c := newCharge(500)
		s.say(placed(c, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{c})
		for fates := s.fates(); fates["done"]+fates["dead"] < 4; fates = s.fates() {
			wait.For(t.Context(), time.Millisecond)
		}
		s.wantDead(2)
		if ignored := figures(t, s.counts, "hosho_paymentd_events_ignored_total"); ignored[string(foreign)] != 1 {
			t.Errorf("got %v events that were not acted on, want one that is foreign", ignored)
		}
		for _, why := range []string{"decode events.v1.OrderPlaced", "events.v1.OrderSent"} {
			if !s.log.contain(why) {
				t.Errorf("nobody says that there is a dead letter because of %q", why)
			}
		}
	})
}

func (s *shop) fates() map[string]float64 { return figures(s.t, s.counts, "hosho_inbox_events_total") }

// Charges hang, as many as are handled at a time and more, until all others are charged. Each is told when its time is
// over; the network is asked once about each.
func TestEventsThatHangDelayNobody(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		asked := &hangs{over: make(chan struct{}), asked: map[string]int{}}
		s := startOver(t, kind, func(s *server) {
			s.cardTimeout = time.Hour
			asked.Network, s.network = s.network, asked
		})
		var hang []*paymentv1.ChargePaymentRequest
		for range 20 {
			hang = append(hang, newCharge(9997))
			s.say(placed(hang[len(hang)-1], 1))
			good := newCharge(500)
			s.say(placed(good, 1))
			s.hearCharged([]*paymentv1.ChargePaymentRequest{good})
		}
		close(asked.over)
		refused := map[string]proto.Message{}
		for range hang {
			letter := s.hear()
			refused[letter.Key] = letter.Message
		}
		for _, c := range hang {
			wantRefusal(t, refused[c.GetPaymentId()], c, toCharge, 1, codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT")
			if n := asked.times(c.GetPaymentId()); n != 1 {
				t.Errorf("got the network asked %d times, want once", n)
			}
		}
		for s.fates()["done"] < float64(2*len(hang)) {
			wait.For(t.Context(), time.Millisecond)
		}
	})
}

// hangs is a card network that counts what it is asked, and does not answer charges of 9997 before their time is over.
type hangs struct {
	card.Network

	over  chan struct{} // closed when it is
	mu    sync.Mutex
	asked map[string]int
}

func (n *hangs) Authorise(ctx context.Context, r payment.Request) (payment.Verdict, error) {
	n.mu.Lock()
	n.asked[r.ID]++
	n.mu.Unlock()
	if r.AmountMinor != 9997 {
		return n.Network.Authorise(ctx, r)
	}
	select {
	case <-n.over:
		return payment.Verdict{}, card.ErrNoAnswer
	case <-ctx.Done():
		return payment.Verdict{}, ctx.Err()
	}
}

func (n *hangs) times(id string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[id]
}

// The consumer stops while one event waits for a key and another hangs. What is being decided is published and done
// with; what hangs is given out again, to whoever comes next.
func TestAStoppingConsumerPublishesWhatItIsDeciding(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind, func(s *server) { s.cardTimeout = time.Hour })
		held, hangs := newCharge(500), newCharge(9997)
		release := s.block(t, held)
		s.say(placed(hangs, 1), placed(held, 1))
		s.awaitBlocked(t, 1)
		s.stopConsuming()
		release()
		wantHeard[*eventsv1.PaymentVoided](t, s.hearOf(held), held)
		s.consuming.Wait()
		if fates := s.fates(); fates["done"] != 1 {
			t.Errorf("got fates %v, want one that is done", fates)
		}
	})
}

// The topic of the outcomes is away for a while. They are published again and again; the log has that once, and how
// many there were when they are confirmed again.
func TestOutcomesThatAreNotConfirmedAreToldTogether(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := openShop(t, kind)
		s.through = func(b broker.Broker) broker.Broker { return &refuses{Broker: b, left: 5} }
		s.system = start(t, s.consume)
		c := newCharge(500)
		s.say(placed(c, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{c})
		over := s.log.await("outcomes are confirmed by the broker again")
		told := s.log.named("outcomes were not confirmed by the broker, and are published again")
		if len(told) != 1 || told[0]["events"] != 1.0 || over["events"] != 4.0 || over["took"] == nil {
			t.Errorf("got %v, then %v, want one line of one event, and four more when it is over", told, over)
		}
	})
}

// refuses is a broker that has no such topic for a while.
type refuses struct {
	broker.Broker

	mu   sync.Mutex
	left int
}

func (r *refuses) Publish(ctx context.Context, events []broker.Event) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return r.Broker.Publish(ctx, events)
	}
	r.left--
	return slices.Repeat([]error{errors.New("no such topic")}, len(events))
}
