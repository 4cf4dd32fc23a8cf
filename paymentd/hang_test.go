package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// One charge of a thousand hangs, longer than this test can last, and then more requests than are decided at a time do.
// All others are answered while they hang.
func TestAHangingChargeDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.hangTimeout = time.Hour })
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
	s := start(t, func(s *server) { s.hangTimeout = time.Millisecond })
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

func TestMoreHangingChargesThanThereIsRoomForAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.aside = semaphore.NewWeighted(2) })
	k := s.open(t, t.Context())
	k.send(newCharge(9997), newCharge(9997), newCharge(9997))
	got := k.receive(1)[0]
	wantResultError(t, got, codes.ResourceExhausted, "CARD_NETWORK_BUSY")
	if got.GetError().GetRetryDelay().AsDuration() != busyRetryDelay {
		t.Errorf("got retry delay %v, want %v", got.GetError().GetRetryDelay(), busyRetryDelay)
	}
}
