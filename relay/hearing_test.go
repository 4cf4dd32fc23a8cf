package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	eventsv1 "hosho/gen/events/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/broker"
	"hosho/internal/envelope"
	"hosho/internal/order"
)

// refusal says that a send of an order's charge came to INTERNAL.
func refusal(o order.Order, send int32) *eventsv1.PaymentRefused {
	return &eventsv1.PaymentRefused{
		PaymentId: o.ID, Command: eventsv1.PaymentRefused_COMMAND_CHARGE, Send: send, Code: int32(codes.Internal),
		Reason: "INTERNAL", Message: "it fails",
	}
}

// The payments database whose event is met first is trusted. What another one says changes nothing, until an operator
// accepts that.
func TestWhatAnotherDatabaseSaysIsNotApplied(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	r := m.trade()
	first, second := m.place(), m.place()
	m.say(m.payments, first.ID, charged(first))
	m.await(first.ID, order.Completed)
	other := uuid.NewString()
	for range 3 {
		m.say(other, second.ID, charged(second))
	}
	const told = "another payments database: what it says is not applied"
	eventually(t, "somebody is told", func() bool { return len(m.log.lines(told)) > 0 })
	third := m.place()
	m.say(m.payments, third.ID, charged(third)) // which is heard after the others
	m.await(third.ID, order.Completed)
	if got := m.get(second.ID).Status; got != order.Pending || len(m.log.lines(told)) != 1 {
		t.Errorf("got %s and %d lines, want the order PENDING, and somebody told once", got, len(m.log.lines(told)))
	}
	_, err := r.client().AcceptPaymentsDatabase(t.Context(), &relayv1.AcceptPaymentsDatabaseRequest{
		PaymentsDatabase: other, Operator: "eve", Reason: "restored",
	})
	if err != nil {
		t.Fatal(err)
	}
	m.say(other, second.ID, charged(second))
	m.await(second.ID, order.Completed)
}

func TestAnEventOfAnUnknownOrderCallsForAPerson(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	unknown := m.place()
	unknown.ID = uuid.NewString()
	m.say(m.payments, unknown.ID, charged(unknown))
	m.alarmed(unknown.ID)
}

// Events that nobody can read come between those that somebody can.
func TestWhatCannotBeReadIsADeadLetterAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	o := m.place()
	spoilt, err := envelope.Seal(broker.Payments(prefix), envelope.Letter{
		Side: envelope.Payments, Database: m.payments, Key: o.ID, Time: time.Now(), Message: charged(o),
	})
	if err != nil {
		t.Fatal(err)
	}
	spoilt.Data = []byte{0xff}
	foreign := spoilt
	foreign.Source, foreign.ID, foreign.Send = "urn:shop:orders:1", "another", 1
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for _, err := range m.broker.Publish(ctx, []broker.Event{spoilt, foreign}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	m.say(m.payments, o.ID, &eventsv1.PaymentRefused{PaymentId: o.ID, Send: 1})
	m.say(m.payments, o.ID, charged(o))
	m.await(o.ID, order.Completed)
	const dead = "an event that nobody can handle is a dead letter"
	eventually(t, "both are dead letters", func() bool { return len(m.log.lines(dead)) >= 2 })
	for _, l := range m.log.lines(dead) {
		if !strings.Contains(l["why"], "decode") && !strings.Contains(l["why"], "not known") {
			t.Errorf("got %v, want why it cannot be read", l)
		}
	}
}

// paymentd fails on an order, each time that it is asked, and its refusals come twice. Each send spends one attempt;
// the order is given up, and its void is carried out.
func TestRefusalsSpendTheBudgetOfACharge(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	o := m.place()
	for send := int32(1); send <= int32(quick().MaxAttempts); send++ {
		m.awaitSend(o.ID, order.Charge, send)
		m.say(m.payments, o.ID, refusal(o, send))
		m.say(m.payments, o.ID, refusal(o, send))
	}
	m.await(o.ID, order.Cancelling)
	m.awaitSend(o.ID, order.Void, 1)
	m.say(m.payments, o.ID, voided(o))
	if got := m.await(o.ID, order.Cancelled).CancelReason; got != order.ReasonPaymentFailed {
		t.Errorf("got %s, want %s", got, order.ReasonPaymentFailed)
	}
	if n := m.count(`SELECT count(*) FROM attempts WHERE order_id = $1 AND kind = 'CHARGE'`, o.ID); n != 5 {
		t.Errorf("got %d attempts recorded, want 5", n)
	}
}

// What paymentd is said to have refused for a fault that passes is no refusal.
func TestAFaultThatPassesSpendsNothing(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	o := m.place()
	m.awaitSend(o.ID, order.Charge, 1)
	for reason, code := range map[string]codes.Code{
		"NOT_READY": codes.Unavailable, "DEADLINE_PASSED": codes.DeadlineExceeded, "CALL_CANCELLED": codes.Canceled,
	} {
		passing := refusal(o, 1)
		passing.Code, passing.Reason = int32(code), reason
		m.say(m.payments, o.ID, passing)
	}
	m.say(m.payments, o.ID, refusal(o, 1))
	got := m.awaitRow(o.ID, order.Charge, "the refusal is counted", func(r row) bool { return r.Attempts > 0 })
	if got.Attempts != 1 {
		t.Errorf("got %d attempts, want the one of the other", got.Attempts)
	}
}

// The broker confirms order events, and loses them. They are sent again until something comes of them, each time as
// another send of the same fact.
func TestWhatIsLostIsSentAgain(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade(func(p *pace) { p.Resend, p.ResendCap = 50*time.Millisecond, 100*time.Millisecond })
	orders := m.placeMany(3)
	for _, o := range orders {
		for send := int32(1); send <= 3; send++ {
			m.awaitSend(o.ID, order.Charge, send)
		}
		if row, found := m.row(o.ID, order.Charge); !found || row.Attempts != 0 || row.Claims > 1 {
			t.Errorf("got %+v (%v), want no attempt spent", row, found)
		}
	}
	for _, o := range orders {
		m.say(m.payments, o.ID, charged(o))
		m.await(o.ID, order.Completed)
	}
}

// The broker confirms what is handed over, and nobody answers: no paymentd is there, or it listens elsewhere. Whoever
// looks at the log or asks for the backlog is told, and told when events come again.
func TestThatNobodyAnswersIsTold(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	r := m.trade(func(p *pace) { p.Resend, p.ResendCap = 50*time.Millisecond, 100*time.Millisecond })
	way := func() *relayv1.Way {
		backlog, err := r.client().GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return backlog.GetWay()
	}
	if got := way(); got.GetTransport() != "nats" || got.GetPrefix() != prefix || got.GetSilence() != nil {
		t.Errorf("got %v, want the way over NATS, and no silence while nothing waits for an event", got)
	}
	o := m.place()
	m.awaitSend(o.ID, order.Charge, 3)
	eventually(t, "whoever asks is told", func() bool { return way().GetSilence().AsDuration() >= 50*time.Millisecond })
	silent := m.log.lines("no payment event comes: what was handed over is handed over again, one a second")
	if len(silent) != 1 || silent[0]["topic"] != broker.Payments(prefix) {
		t.Errorf("got %v, want one line with the topic", silent)
	}

	m.server.Kill()
	eventually(t, "whoever asks is told why", func() bool { return way().GetAway() != "" })
	if err := m.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are there again", func() bool { return way().GetAway() == "" && m.broker.Away() == nil })
	m.say(m.payments, o.ID, charged(o))
	m.await(o.ID, order.Completed)
	eventually(t, "the log tells", func() bool { return len(m.log.lines("payment events come again")) == 1 })
	if got := way().GetSilence(); got != nil {
		t.Errorf("got %v of silence, want none", got)
	}
}

// The broker is killed, and comes back. Nothing is given up for it, and no attempt is spent.
func TestABrokerThatIsAwayCancelsNothing(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade(func(p *pace) {
		p.BreakerStreak, p.Resend, p.ResendCap = 3, 100*time.Millisecond, 200*time.Millisecond
	})
	first := m.place()
	m.say(m.payments, first.ID, charged(first))
	m.await(first.ID, order.Completed)
	m.server.Kill()
	orders := m.placeMany(5)
	eventually(t, "the breaker opens", func() bool {
		return len(m.log.lines("the destination is down: one message a second probes it")) > 0
	})
	for _, o := range orders {
		if row, found := m.row(o.ID, order.Charge); !found || row.Attempts != 0 {
			t.Errorf("got %+v (%v), want no attempt spent", row, found)
		}
	}
	if err := m.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range orders {
		eventually(t, "it is sent", func() bool { return len(m.events(o.ID)) > 0 })
		m.say(m.payments, o.ID, charged(o))
		m.await(o.ID, order.Completed)
	}
}

// Facts about one order come together, twice each, in the wrong order. All are applied, one after the other.
func TestFactsInAnyOrderComeToTheSame(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.cancelling()
	refunded := &eventsv1.PaymentRefunded{PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amountOf(o)}
	for range 2 { // before anybody is there to hear
		m.say(m.payments, o.ID, refunded)
		m.say(m.payments, o.ID, charged(o))
	}
	m.trade()
	m.await(o.ID, order.Cancelled)
	other := m.place()
	m.say(m.payments, other.ID, charged(other))
	m.await(other.ID, order.Completed)
	if got := m.get(o.ID).Status; got != order.Cancelled {
		t.Errorf("got %s, want %s", got, order.Cancelled)
	}
	if got := len(m.log.lines("order needs a person")); got != 0 {
		t.Errorf("got %d calls for a person, want none", got)
	}
}

// What an order is settled by comes again and again. That is no delivery, and nobody is told of one.
func TestWhatIsKnownIsNoDelivery(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	r := m.trade()
	o := m.place()
	m.say(m.payments, o.ID, charged(o))
	m.await(o.ID, order.Completed)
	for range 3 {
		m.say(m.payments, o.ID, charged(o))
	}
	for range 2 { // of which the second is heard when the repeats are dealt with
		later := m.place()
		m.say(m.payments, later.ID, charged(later))
		m.await(later.ID, order.Completed)
	}
	told := 0
	for _, e := range r.events(settles, 3) {
		if d := e.GetDelivery(); d.GetOrderId() == o.ID && d.GetCode() == "OK" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("got %d deliveries that came to OK, want 1", told)
	}
}

// Somebody has an order locked when its payment is told of. That is told again until it can be applied, and holds up
// nobody.
func TestALockedOrderIsComeBackTo(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.trade()
	locked, free := m.place(), m.place()
	tx, err := m.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, locked.ID); err != nil {
		t.Fatal(err)
	}
	m.say(m.payments, locked.ID, charged(locked))
	m.say(m.payments, free.ID, charged(free))
	m.await(free.ID, order.Completed)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.await(locked.ID, order.Completed)
}

// A charge that nobody can read is not published: the order is given up, and its void is made from the order.
func TestADamagedChargeIsNotPublished(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.place()
	m.exec(`UPDATE outbox SET payload = 'damaged'`)
	m.trade()
	m.awaitSend(o.ID, order.Void, 1)
	if got := len(m.events(o.ID)); got != 1 {
		t.Errorf("got %d events, want the void alone", got)
	}
	m.say(m.payments, o.ID, voided(o))
	m.await(o.ID, order.Cancelled)
}
