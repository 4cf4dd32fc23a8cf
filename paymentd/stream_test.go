package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
)

func TestEveryCommandOfAStreamIsAnsweredByKeyAndKind(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	known, fresh, void := newCharge(500), newCharge(500), newCharge(500)
	s.charge(t, known)
	upper := proto.CloneOf(fresh)
	upper.PaymentId = strings.ToUpper(fresh.GetPaymentId())

	k.send(voidOf(known), upper, voidOf(void))
	results := k.receive(3)
	wantPayment(t, find(t, results, kindVoid, known.GetPaymentId()).GetPayment(), known, refunded)
	wantPayment(t, find(t, results, kindVoid, void.GetPaymentId()).GetPayment(), void, voided)
	asSent := find(t, results, kindCharge, upper.GetPaymentId())
	wantPayment(t, asSent.GetPayment(), fresh, charged)

	k.send(fresh, void)
	results = k.receive(2)
	wantPayment(t, find(t, results, kindCharge, fresh.GetPaymentId()).GetPayment(), fresh, charged)
	wantPayment(t, find(t, results, kindCharge, void.GetPaymentId()).GetPayment(), void, voided)

	if err := k.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

func TestTheStoryOfAPaymentIsInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	c, poor := newCharge(500), newCharge(9996)
	k.send(c, poor)
	k.receive(2)
	k.send(voidOf(c))
	k.receive(1)
	other := proto.CloneOf(c)
	other.Amount = yen(700)
	k.send(other)
	k.receive(1)

	var story []string
	for _, line := range s.log.about(c.GetPaymentId()) {
		outcome, _ := line["status"].(string)
		if outcome == "" {
			outcome, _ = line["code"].(string)
		}
		story = append(story, line["msg"].(string)+" "+line["kind"].(string)+" "+outcome)
	}
	want := []string{"payment CHARGE CHARGED", "payment VOID REFUNDED", "payment CHARGE ALREADY_EXISTS"}
	if !slices.Equal(story, want) {
		t.Errorf("got %q, want %q", story, want)
	}
	if lines := s.log.about(poor.GetPaymentId()); len(lines) != 1 || lines[0]["reason"] != "INSUFFICIENT_FUNDS" {
		t.Errorf("got %v, want one line with the reason", lines)
	}
}

func TestBadCommandsOfARequestFailAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	good, commands := charges(93)
	reused := newCharge(500)
	s.charge(t, reused)
	reused.Amount = yen(501)
	tooMuch, noKey, fails, lost := newCharge(1<<40), newCharge(500), newCharge(9999), newCharge(9998)
	noKey.PaymentId = "abc"
	badVoid := &paymentv1.VoidPaymentRequest{PaymentId: newID()}
	commands = slices.Insert(commands, 50, []proto.Message{reused, tooMuch, noKey, fails, lost, badVoid, nil}...)

	k.send(commands...)
	results := k.receive(100)
	wantResultError(t, find(t, results, kindCharge, reused.GetPaymentId()), codes.AlreadyExists, "KEY_REUSED")
	wantResultError(t, find(t, results, kindCharge, tooMuch.GetPaymentId()), codes.InvalidArgument, "INVALID_FIELDS")
	wantResultError(t, find(t, results, kindCharge, "abc"), codes.InvalidArgument, "INVALID_FIELDS")
	wantResultError(t, find(t, results, kindCharge, fails.GetPaymentId()), codes.Internal, "INTERNAL")
	wantResultError(t, find(t, results, kindCharge, lost.GetPaymentId()), codes.Unavailable, "REPLY_LOST")
	wantResultError(t, find(t, results, kindVoid, badVoid.GetPaymentId()), codes.InvalidArgument, "INVALID_FIELDS")
	empty := find(t, results, paymentv1.PaymentResult_KIND_UNSPECIFIED, "")
	wantResultError(t, empty, codes.InvalidArgument, "INVALID_FIELDS")
	for _, c := range good {
		wantPayment(t, find(t, results, kindCharge, c.GetPaymentId()).GetPayment(), c, charged)
	}

	k.send(lost)
	wantPayment(t, k.receive(1)[0].GetPayment(), lost, charged)
}

// The client does not wait for one answer before it sends the next request.
func TestEveryCommandOfManyRequestsAtOnceIsAnswered(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	plain, commands := charges(1000)
	go func() {
		for batch := range slices.Chunk(commands, 5) {
			k.send(append(batch, newCharge(9999), voidOf(newCharge(500)))...)
		}
	}()
	results := k.receive(1400)
	for _, c := range plain {
		wantPayment(t, find(t, results, kindCharge, c.GetPaymentId()).GetPayment(), c, charged)
	}
}

// The stream's caller gives up, or its deadline passes, while a batch of many orders is being decided: the batch is
// decided to its end, and whoever repeats a command is told what is stored.
func TestTheDeadlineOfAStreamEndsNoBatch(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	k := s.open(t, ctx)
	others, commands := charges(20)
	held := newCharge(500)
	release := s.block(t, held)
	k.send(append(commands, held)...)
	s.awaitBlocked(t, 1)
	giveUp()
	var err error
	for err == nil { // what was decided in a batch of its own, without the one that is held, may have been answered
		_, err = k.Recv()
	}
	if status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want the stream cancelled", err)
	}
	// The server knows it as soon as it answers something that came later on the same connection.
	_, err = s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: newID()})
	if status.Code(err) != codes.NotFound {
		t.Errorf("got %v, want no such payment", err)
	}
	release()
	for _, c := range others {
		s.log.awaitAbout(c.GetPaymentId())
		got, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: c.GetPaymentId()})
		if err != nil {
			t.Fatalf("of the batch: got %v, want it decided", err)
		}
		wantPayment(t, got.GetPayment(), c, charged)
	}
}

// The database takes longer than a relay would wait, as it does while its standby is away. No answer at all would spend
// an attempt of each order: the answer is that the outcome is unknown, and whoever repeats the command is told it.
func TestACommandThatTakesTooLongIsAnsweredUnknown(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.patience = time.Millisecond })
	k := s.open(t, t.Context())
	held, void := newCharge(500), newCharge(500)
	releases := []func(){s.block(t, held), s.block(t, void)}
	k.send(held, voidOf(void))
	for _, r := range k.receive(2) {
		wantResultError(t, r, codes.Unavailable, "COMMIT_UNKNOWN")
	}
	for _, release := range releases {
		release()
	}
	for _, c := range []*paymentv1.ChargePaymentRequest{held, void} {
		wantPayment(t, s.charge(t, c), c, voided)
	}
}

func TestTheSameKeyTwiceInARequestIsDecidedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	c := newCharge(500)
	other := proto.CloneOf(c)
	other.Amount = yen(700)
	k.send(c, c, other)
	for i, r := range k.receive(3) {
		if i == 2 {
			wantResultError(t, r, codes.AlreadyExists, "KEY_REUSED")
			continue
		}
		wantPayment(t, r.GetPayment(), c, charged)
	}
	if n := s.count(t, "ledger", c.GetPaymentId()); n != 1 {
		t.Errorf("got %d ledger entries, want one charge", n)
	}
}

func TestARequestOfNoOrTooManyCommandsEndsTheStream(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, tooMany := charges(1001)
	for _, commands := range [][]proto.Message{nil, tooMany} {
		k := s.open(t, t.Context())
		c, hangs := newCharge(500), newCharge(9997) // the hang does not keep the stream open
		k.send(c, hangs)
		wantPayment(t, k.receive(1)[0].GetPayment(), c, charged)
		k.send(commands...)
		wantInvalid(t, k.end(), "commands")
	}
}

// A request waits for a key that another transaction holds. The next one is read and answered meanwhile.
func TestARequestIsAnsweredWhileAnEarlierOneWaits(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	held, next := newCharge(500), newCharge(500)
	release := s.block(t, held)
	k.send(held)
	s.awaitBlocked(t, 1)
	k.send(next)
	wantPayment(t, k.receive(1)[0].GetPayment(), next, charged)
	release()
	wantPayment(t, k.receive(1)[0].GetPayment(), held, voided)
}

// Four requests wait for a key. The fifth is not begun: another stream's is, meanwhile.
func TestAStreamIsNotReadFartherThanItIsServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	held, fifth, others := newCharge(500), newCharge(500), newCharge(500)
	release := s.block(t, held)
	for range maxBatches {
		k.send(held)
	}
	s.awaitBlocked(t, maxBatches)
	k.send(fifth)
	other := s.open(t, t.Context())
	other.send(others)
	other.receive(1)
	if n := s.count(t, "payments", fifth.GetPaymentId()); n != 0 {
		t.Errorf("got %d payments of the fifth request, want none yet", n)
	}
	release()
	results := k.receive(maxBatches + 1)
	wantPayment(t, find(t, results, kindCharge, fifth.GetPaymentId()).GetPayment(), fifth, charged)
}
