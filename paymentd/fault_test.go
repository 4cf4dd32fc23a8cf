package main

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/paymentdb"
)

// One row breaks a constraint that validation does not know, and with it the statement of a hundred.
func TestARowThatFailsTheStatementFailsAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(t, `ALTER TABLE payments ADD CONSTRAINT unlucky CHECK (amount_minor <> 13)`)
	k := s.open(t, t.Context())
	good, commands := charges(97)
	bad, alsoBad, badVoid := newCharge(13), newCharge(13), newCharge(13)
	commands = slices.Insert(commands, 20, proto.Message(bad))
	commands = append(commands, alsoBad, voidOf(badVoid))

	k.send(commands...)
	results := k.receive(100)
	for _, c := range good {
		wantPayment(t, find(t, results, kindCharge, c.GetPaymentId()).GetPayment(), c, charged)
	}
	for kind, c := range map[paymentv1.PaymentResult_Kind]*paymentv1.ChargePaymentRequest{
		kindCharge: bad, kindVoid: badVoid,
	} {
		r := find(t, results, kind, c.GetPaymentId())
		wantResultError(t, r, codes.Internal, "INTERNAL")
		if r.GetError().GetMessage() != "internal" {
			t.Errorf("got message %q, want no word of the cause", r.GetError().GetMessage())
		}
		lines := s.log.about(c.GetPaymentId())
		if len(lines) != 1 || lines[0]["level"] != "ERROR" || !strings.Contains(lines[0]["error"].(string), "unlucky") {
			t.Errorf("got log %v, want one ERROR with the cause", lines)
		}
	}
}

// The session that decides a request is ended by the server. Nothing is wrong with any one row, so none is tried alone.
func TestALostConnectionIsEveryCommandsAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	_, commands := charges(3)
	held := commands[1].(*paymentv1.ChargePaymentRequest)
	release := s.block(t, held)
	k.send(commands...)
	s.exec(t, `SELECT pg_terminate_backend($1)`, s.awaitBlocked(t, 1)[0])
	for _, r := range k.receive(3) {
		wantResultError(t, r, codes.Unavailable, "DATABASE_UNAVAILABLE")
	}
	release()
	k.send(commands...)
	for _, r := range k.receive(3) {
		if r.GetPayment() == nil {
			t.Errorf("sent again: got %v, want a payment", r)
		}
	}
}

// A store without a pool makes every statement panic.
func TestAPanicIsAnsweredAndTheServerLives(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.store = paymentdb.New(nil) })
	k := s.open(t, t.Context())
	c := newCharge(500)
	k.send(c, voidOf(newCharge(500)), newCharge(9999), newCharge(9997))
	for _, r := range k.receive(4) {
		wantResultError(t, r, codes.Internal, "INTERNAL")
	}
	_, err := s.ChargePayment(t.Context(), c)
	wantError(t, err, codes.Internal, "INTERNAL")
	if !s.log.contain("panic: ") {
		t.Error("got no panic in the log")
	}
}
