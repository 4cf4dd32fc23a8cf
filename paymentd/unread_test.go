package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
)

// A client sends more than its replies have room for on the way, and reads none. The stream is ended, what was read of
// it is decided all the same, and who does read is served meanwhile.
func TestAStreamWhoseRepliesAreNotReadIsEnded(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.sendTimeout = time.Millisecond })
	deaf := s.open(t, t.Context())
	first := newCharge(500)
	deaf.send(first)
	sent := make(chan error, 1)
	go func() {
		for {
			_, commands := charges(maxCommands)
			if err := deaf.Send(requestOf(commands...)); err != nil {
				sent <- err
				return
			}
		}
	}()
	if line := s.log.await("rpc"); line["code"] != "RESOURCE_EXHAUSTED" {
		t.Errorf("got %v, want the stream ended", line)
	}
	var err error
	for err == nil { // what is on its way comes before the end
		_, err = deaf.Recv()
	}
	if <-sent == nil {
		t.Error("got a stream that takes more")
	}
	wantError(t, err, codes.ResourceExhausted, "REPLIES_UNREAD")
	wantPayment(t, s.charge(t, first), first, charged)

	k := s.open(t, t.Context())
	next := newCharge(500)
	k.send(next)
	wantPayment(t, k.receive(1)[0].GetPayment(), next, charged)
}

// Replies that are longer than what is sent at a time come in several messages.
func TestManyRepliesComeInMessagesOfBoundedSize(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	_, commands := charges(maxCommands)
	k.send(commands...)
	for n := 0; n < maxCommands; {
		response, err := k.Recv()
		if err != nil {
			t.Fatalf("after %d results: %v", n, err)
		}
		if size := proto.Size(response); size > maxReply {
			t.Errorf("got a message of %d bytes, want at most %d", size, maxReply)
		}
		n += len(response.GetResults())
	}
}

// A message of few bytes may hold very many commands. They are counted before they are made.
func TestCommandsAreCountedBeforeTheyAreMade(t *testing.T) {
	message, err := proto.Marshal(&paymentv1.ProcessPaymentsRequest{
		Commands: make([]*paymentv1.PaymentCommand, 100_000),
	})
	if err != nil {
		t.Fatal(err)
	}
	if made := testing.AllocsPerRun(1, func() { err = checkCommands(message) }); made > 100 {
		t.Errorf("got %v allocations, want few", made)
	}
	wantInvalid(t, toStatus(err), "commands")
}

// One connection may open so many streams and no more, and another connection then still can.
func TestStreamsOfOneConnectionAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	for range maxStreamsEach {
		if _, err := s.open(t, t.Context()).Header(); err != nil {
			t.Fatal(err)
		}
	}
	one := s.open(t, t.Context())
	wantError(t, one.end(), codes.ResourceExhausted, "OVERLOADED")
}

func TestStreamsAreBoundedOverAll(t *testing.T) {
	t.Parallel()
	r := newRoom()
	var leaves []func()
	for i := range maxStreams {
		leave, err := r.streams.Open(from(t, i))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, err := r.streams.Open(from(t, maxStreams)); err == nil {
		t.Errorf("got a place for one more than %d", maxStreams)
	}
	for _, leave := range leaves {
		leave()
	}
	if _, err := r.streams.Open(from(t, 0)); err != nil {
		t.Errorf("got error %v, want a place of those that have gone", err)
	}
}
