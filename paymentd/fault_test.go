package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/payment"
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

// The session that decides a request is ended by the server. Its COMMIT was on its way, so that nobody knows what came
// of it; and nothing is wrong with any one row, so none is tried alone.
func TestALostConnectionIsEveryCommandsAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	_, commands := charges(3)
	s.exec(t, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
		RETURN NEW;
	END $$`)
	s.exec(t, `CREATE TRIGGER dies BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION die()`)
	k.send(commands...)
	for _, r := range k.receive(3) {
		wantResultError(t, r, codes.Unavailable, "COMMIT_UNKNOWN")
	}
	s.exec(t, `DROP TRIGGER dies ON payments`)
	k.send(commands...)
	for _, r := range k.receive(3) {
		if r.GetPayment() == nil {
			t.Errorf("sent again: got %v, want a payment", r)
		}
	}
}

// Somebody took the ledger away. That is no command's fault: none is tried alone, none is told that it failed for good,
// the log says what is missing, and all are decided when it is back.
func TestAMissingTableIsEveryCommandsAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	_, commands := charges(3)
	s.exec(t, `ALTER TABLE ledger RENAME TO elsewhere`)
	k.send(commands...)
	for _, r := range k.receive(3) {
		wantResultError(t, r, codes.Unavailable, "DATABASE_MISCONFIGURED")
	}
	missing := commands[0].(*paymentv1.ChargePaymentRequest)
	_, err := s.ChargePayment(t.Context(), missing)
	wantError(t, err, codes.Unavailable, "DATABASE_MISCONFIGURED")
	for _, line := range s.log.about(missing.GetPaymentId()) {
		if line["level"] != "WARN" || !strings.Contains(line["error"].(string), `relation "ledger" does not exist`) {
			t.Errorf("got log %v, want a WARN that names the table", line)
		}
	}
	s.exec(t, `ALTER TABLE elsewhere RENAME TO ledger`)
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
	var served *server
	s := start(t, func(s *server) { served = s })
	k := s.open(t, t.Context())
	if _, err := k.Header(); err != nil { // which the database is asked for
		t.Fatal(err)
	}
	served.store = paymentdb.New(nil)
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

// unlucky is a card network that panics about one amount.
type unlucky struct{ card.Network }

func (n unlucky) Authorise(ctx context.Context, r payment.Request) (payment.Verdict, error) {
	if r.AmountMinor == 13 {
		panic("the network's client has a bug")
	}
	return n.Network.Authorise(ctx, r)
}

// The network's client panics about one charge. It is that charge's alone: its neighbours are decided, the stream goes
// on, and a charge that was made before is answered.
func TestAPanicOfTheNetworkIsOneChargesAlone(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.network = unlucky{s.network} })
	k := s.open(t, t.Context())
	bad, known, good, void := newCharge(13), newCharge(13), newCharge(500), newCharge(13)
	wantPayment(t, s.void(t, voidOf(known)), known, voided)
	for range 2 {
		k.send(bad, good, known, voidOf(void))
		results := k.receive(4)
		wantResultError(t, find(t, results, kindCharge, bad.GetPaymentId()), codes.Internal, "INTERNAL")
		wantPayment(t, find(t, results, kindCharge, good.GetPaymentId()).GetPayment(), good, charged)
		wantPayment(t, find(t, results, kindCharge, known.GetPaymentId()).GetPayment(), known, voided)
		wantPayment(t, find(t, results, kindVoid, void.GetPaymentId()).GetPayment(), void, voided)
	}
	_, err := s.ChargePayment(t.Context(), bad)
	wantError(t, err, codes.Internal, "INTERNAL")
	if lines := s.log.about(bad.GetPaymentId()); len(lines) != 3 || lines[0]["level"] != "ERROR" {
		t.Errorf("got log %v, want an ERROR each time", lines)
	}
}

// A charge that came too late may mean that a clock runs ahead. The log says so at WARN, whichever way it was asked.
func TestAnExpiredChargeIsAsLoudInACallOfItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	streamed, called, inTime := newCharge(500), newCharge(500), newCharge(500)
	streamed.NotAfter, called.NotAfter = timestamppb.New(time.Unix(1, 0)), timestamppb.New(time.Unix(1, 0))
	k.send(streamed)
	k.receive(1)
	s.charge(t, called)
	s.charge(t, inTime)
	for _, c := range []*paymentv1.ChargePaymentRequest{streamed, called} {
		var loud int
		for _, line := range s.log.about(c.GetPaymentId()) {
			if line["msg"] == "payment" && line["level"] == "WARN" && line["reason"] == "EXPIRED" {
				loud++
			}
		}
		if loud != 1 {
			t.Errorf("got %v, want one warning with the reason EXPIRED", s.log.about(c.GetPaymentId()))
		}
	}
	for _, line := range s.log.about(inTime.GetPaymentId()) {
		if line["level"] != "INFO" && line["level"] != "DEBUG" {
			t.Errorf("got %v of a charge in time, want nothing to look at", line)
		}
	}
}
