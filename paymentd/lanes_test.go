package main

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/admission"
	"hosho/internal/rpc"
)

// from is the context of a stream over a connection of its own.
func from(t *testing.T, port int) context.Context {
	t.Helper()
	return peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}})
}

// A thousand charges of a key that somebody holds come at once: few wait for it, the others are refused. A void goes
// through, and so does one over a stream whose charges are stuck as well.
func TestAVoidGoesThroughWhileChargesQueue(t *testing.T) {
	t.Parallel()
	s := start(t)
	held := newCharge(500)
	release := s.block(t, held)
	defer release()
	k := s.open(t, t.Context())
	for range maxBatches - 1 {
		k.send(held)
	}
	crowd, err := rpc.Dial(s.conn.Target()) // of other clients: one that calls so often at once is in its own way
	if err != nil {
		t.Fatal(err)
	}
	defer crowd.Close()
	charging := paymentv1.NewPaymentServiceClient(crowd)
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	refused := make(chan error, 1000)
	for range cap(refused) {
		calls.Go(func() {
			_, err := charging.ChargePayment(ctx, held)
			refused <- err
		})
	}
	wantError(t, <-refused, codes.ResourceExhausted, "OVERLOADED")
	alone, streamed := newCharge(500), newCharge(500)
	wantPayment(t, s.void(t, voidOf(alone)), alone, voided)
	k.send(voidOf(streamed))
	for { // the held ones may be answered, too, when they have waited for too long
		if r := k.receive(1)[0]; r.GetKind() == kindVoid {
			wantPayment(t, r.GetPayment(), streamed, voided)
			return
		}
	}
}

// More calls hang in the card network than the lane has slots, and one more is decided.
func TestACallThatHangsTakesNoSlot(t *testing.T) {
	t.Parallel()
	var waiting *aside
	s := start(t, func(s *server) { s.cardTimeout, waiting = time.Hour, s.aside })
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	for n := range 20 {
		calls.Go(func() { _, _ = s.ChargePayment(ctx, newCharge(9997)) })
		waiting.await(n + 1)
	}
	c := newCharge(500)
	wantPayment(t, s.charge(t, c), c, charged)
}

// Nobody waits for a connection: the slots are no more than the pools have.
func TestTheSlotsAreNoMoreThanTheConnections(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 5, 8, 16, 17, 100} {
		writes, reads := n, max(n/2, 2)
		l := newLanes(writes, reads)
		writing := l.charging + l.voiding
		for l.lookups.TryAcquire(1) {
			writing++
		}
		if reading := slots(l.read) + slots(l.introduction); writing > writes || reading > reads {
			t.Errorf("of %d and %d: got %d slots to write and %d to read", writes, reads, writing, reading)
		}
	}
}

// slots takes all of a lane, and returns how many there were.
func slots(l *admission.Lane) (n int) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_, err := l.Enter(ctx)
		cancel()
		if err != nil {
			return n
		}
		n++
	}
}
