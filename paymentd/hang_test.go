package main

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/payment"
)

// One charge of a thousand hangs, longer than this test can last, and then more requests than are decided at a time do.
// All others are answered while they hang.
func TestAHangingChargeDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	k := s.open(t, ctx)
	plain, commands := charges(999)
	hangs := newCharge(9997)
	k.send(slices.Insert(commands, 500, proto.Message(hangs))...)

	results := k.receive(999)
	for _, c := range plain {
		wantPayment(t, find(t, results, kindCharge, c.GetPaymentId()).GetPayment(), c, charged)
	}
	for range maxBatches {
		k.send(newCharge(9997))
	}
	next := newCharge(500)
	k.send(next)
	wantPayment(t, k.receive(1)[0].GetPayment(), next, charged)

	// The client goes, and the server lets what hangs go with it.
	cancel()
	if line := s.log.await("rpc"); line["code"] != "CANCELLED" {
		t.Errorf("got %v, want a stream that was cancelled", line)
	}
	if n := s.count(t, "payments", hangs.GetPaymentId()); n != 0 {
		t.Errorf("the hanging charge: got %d payments, want none", n)
	}
}

func TestAHangingChargeOfAStreamIsAnsweredInTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout = time.Millisecond })
	k := s.open(t, t.Context())
	k.send(newCharge(9997))
	if err := k.CloseSend(); err != nil { // the answer is still owed
		t.Fatal(err)
	}
	wantResultError(t, k.receive(1)[0], codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT")
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

// One charge of a batch is being written when the time of the other is over. Nothing of it is left behind: the stream
// ends, and so could the server.
func TestTheEndOfTheNetworksTimeMeetsAChargeThatIsWritten(t *testing.T) {
	t.Parallel()
	network := newGate(card.Simulation{9997: card.Hang})
	var waiting *aside
	s := start(t, func(s *server) { s.network, s.cardTimeout, waiting = network, time.Second, s.aside })
	k := s.open(t, t.Context())
	written := newCharge(network.amount)
	release := s.block(t, written)
	k.send(written, newCharge(9997))
	waiting.await(2)
	network.open <- payment.Verdict{Approved: true}
	s.awaitBlocked(t, 1)
	wantResultError(t, k.receive(1)[0], codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT")
	release()
	wantPayment(t, k.receive(1)[0].GetPayment(), written, voided)
	if err := k.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

// await waits until n charges are set aside.
func (a *aside) await(n int) {
	for there := -1; there != n; {
		a.mu.Lock()
		there = a.queue.Len()
		a.mu.Unlock()
		runtime.Gosched()
	}
}

// There is room for two that hang. The third takes the place of the first, and what is answered needs none.
func TestTheLongestHangingChargeGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout, s.aside = time.Hour, newAside(2) })
	k := s.open(t, t.Context())
	first, plain := newCharge(9997), newCharge(500)
	k.send(first)
	k.send(newCharge(500)) // answered when the first is set aside, or later
	k.receive(1)
	k.send(newCharge(9997), newCharge(9997), plain)
	results := k.receive(2)
	wantPayment(t, find(t, results, kindCharge, plain.GetPaymentId()).GetPayment(), plain, charged)
	busy := slices.DeleteFunc(results, func(r *paymentv1.PaymentResult) bool { return r.GetPayment() != nil })[0]
	wantResultError(t, busy, codes.ResourceExhausted, "CARD_NETWORK_BUSY")
	if busy.GetError().GetRetryDelay().AsDuration() != busyRetryDelay {
		t.Errorf("got retry delay %v, want %v", busy.GetError().GetRetryDelay(), busyRetryDelay)
	}
}

// gate is a card network that keeps the charges of an amount until they are let through, and asks for the others at
// once.
type gate struct {
	card.Network

	amount int64
	open   chan payment.Verdict
}

func newGate(network card.Network) *gate {
	return &gate{network, 13, make(chan payment.Verdict)}
}

func (g *gate) Authorise(ctx context.Context, r payment.Request) (payment.Verdict, error) {
	if r.AmountMinor != g.amount {
		return g.Network.Authorise(ctx, r)
	}
	select {
	case v := <-g.open:
		return v, nil
	case <-ctx.Done():
		return payment.Verdict{}, ctx.Err()
	}
}

// A hundred charges of several batches hang in a network that blocks. The ordinary ones beside them are decided, and a
// key that was decided before is told what is stored. Then the network answers the hundred.
func TestAHundredHangingChargesDelayNobody(t *testing.T) {
	t.Parallel()
	network := newGate(card.Simulation{})
	s := start(t, func(s *server) { s.network, s.cardTimeout = network, time.Hour })
	k := s.open(t, t.Context())
	known := newCharge(network.amount)
	s.void(t, voidOf(known))
	ordinary, hanging := map[string]*paymentv1.ChargePaymentRequest{}, map[string]*paymentv1.ChargePaymentRequest{}
	for range 10 {
		plain, commands := charges(10)
		for _, c := range plain {
			hangs := newCharge(network.amount)
			ordinary[c.GetPaymentId()], hanging[hangs.GetPaymentId()] = c, hangs
			commands = append(commands, hangs)
		}
		k.send(append(commands, known)...)
	}
	for _, r := range k.receive(110) {
		if r.GetPaymentId() == known.GetPaymentId() {
			wantPayment(t, r.GetPayment(), known, voided)
			continue
		}
		wantPayment(t, r.GetPayment(), ordinary[r.GetPaymentId()], charged)
		delete(ordinary, r.GetPaymentId())
	}
	for range hanging {
		network.open <- payment.Verdict{Approved: true}
	}
	for _, r := range k.receive(100) {
		wantPayment(t, r.GetPayment(), hanging[r.GetPaymentId()], charged)
		delete(hanging, r.GetPaymentId())
	}
	if len(ordinary) != 0 || len(hanging) != 0 {
		t.Errorf("got no answer of %d ordinary and %d hanging charges", len(ordinary), len(hanging))
	}
}

// The network takes its time and then says yes to one charge and no to another: both are decided, on a stream and in a
// call of its own.
func TestALateVerdictCounts(t *testing.T) {
	t.Parallel()
	network := newGate(card.Simulation{})
	s := start(t, func(s *server) { s.network, s.cardTimeout = network, time.Hour })
	k := s.open(t, t.Context())
	for want, said := range map[paymentv1.Payment_Status]payment.Verdict{
		charged: {Approved: true}, declined: {Reason: payment.InsufficientFunds},
	} {
		c, plain := newCharge(network.amount), newCharge(500)
		k.send(c, plain)
		wantPayment(t, k.receive(1)[0].GetPayment(), plain, charged)
		network.open <- said
		wantPayment(t, k.receive(1)[0].GetPayment(), c, want)

		alone := newCharge(network.amount)
		go func() { network.open <- said }()
		wantPayment(t, s.charge(t, alone), alone, want)
	}
}

// The batch of a hanging charge waits for the database, longer than the card network may take. What is not known is not
// answered with the network's word: the key may be decided.
func TestAHangingChargeWhoseKeyCannotBeLookedUpIsTheDatabasesFault(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout, s.patience = time.Millisecond, 20*time.Millisecond })
	k := s.open(t, t.Context())
	lock, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(context.WithoutCancel(t.Context()))
	if _, err := k.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `LOCK TABLE payments`); err != nil {
		t.Fatal(err)
	}
	k.send(newCharge(9997))
	wantResultError(t, k.receive(1)[0], codes.Unavailable, "DATABASE_UNAVAILABLE")
}
