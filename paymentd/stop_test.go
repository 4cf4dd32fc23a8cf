package main

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// The server stops while one request waits for a key and another charge hangs. What is being decided is answered, what
// hangs is abandoned, and the client is told to go elsewhere.
func TestAStoppingServerAnswersWhatItIsDeciding(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout = time.Hour })
	k := s.open(t, t.Context())
	held, hangs := newCharge(500), newCharge(9997)
	release := s.block(t, held)
	k.send(held)
	k.send(hangs, newCharge(500))
	k.receive(1) // the plain one: the hanging one beside it is waiting
	s.awaitBlocked(t, 1)

	s.stop()
	release()
	wantPayment(t, k.receive(1)[0].GetPayment(), held, voided)
	wantError(t, k.end(), codes.Unavailable, "STOPPING")
	<-s.done
}

// The call is looking its key up when the server is told to stop, and would hang for an hour from then on.
func TestAStoppingServerAbandonsAHangingCall(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout = time.Hour })
	lock, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(context.WithoutCancel(t.Context()))
	if _, err := lock.Exec(t.Context(), `LOCK TABLE payments`); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := s.ChargePayment(t.Context(), newCharge(9997))
		answered <- err
	}()
	s.awaitBlocked(t, 1)
	s.stop()
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-answered, codes.Unavailable, "STOPPING")
	<-s.done
}
