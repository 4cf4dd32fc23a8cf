package main

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/slow"
)

// age moves an order into the past, which no program may.
func (s *system) age(id string, by time.Duration) {
	s.t.Helper()
	s.exec(`ALTER TABLE orders DISABLE TRIGGER USER`)
	s.exec(`
		UPDATE orders
		SET created_at = created_at - $2::interval, updated_at = updated_at - $2::interval
		WHERE id = $1`, id, by)
	s.exec(`ALTER TABLE orders ENABLE TRIGGER USER`)
}

// A void waits for a time that will not come. It is listed with what it last came to, and due once it is retried.
func TestAStuckVoidIsListedAndRetried(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.cancelling()
	s.peer.script(o.ID, order.Void, fails(codes.Internal, "", 0))
	r := s.relay(func(p *pace) { p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = time.Hour, time.Hour, time.Hour })
	s.awaitRow(o.ID, order.Void, "it has failed", func(r row) bool { return r.Answers == 1 && !r.Leased })
	list := func() []*relayv1.ParkedCommand {
		t.Helper()
		reply, err := r.client().ListParked(t.Context(), &relayv1.ListParkedRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return reply.GetCommands()
	}
	if got := list(); len(got) != 0 {
		t.Errorf("got %v, want nothing: it has just begun", got)
	}
	s.age(o.ID, order.StuckAfter+time.Minute)
	got := list()
	if len(got) != 1 || got[0].GetWhy() != relayv1.ParkedCommand_WHY_UNDECIDED || got[0].GetLastCode() != "INTERNAL" ||
		got[0].GetClaims() != 1 || got[0].GetAttempts() != 1 || got[0].GetNextAttemptTime() == nil {
		t.Fatalf("got %v, want the void, undecided after one attempt that came to INTERNAL", got)
	}
	_, err := r.client().SettleParked(t.Context(), &relayv1.SettleParkedRequest{
		OrderId: o.ID, Reason: "impatience", Operator: "ops",
	})
	refused(t, err, codes.FailedPrecondition, "NOT_PARKED") // a delivery can still settle it
	_, err = r.client().RetryParked(t.Context(), &relayv1.RetryParkedRequest{
		OrderId: o.ID, Kind: relayv1.ParkedCommand_KIND_VOID,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.await(o.ID, order.Cancelled)
	if got := list(); len(got) != 0 {
		t.Errorf("got %v, want nothing once it is settled", got)
	}
}

// A void fails again and again. Somebody is called at the second attempt, and each time that the attempts have doubled.
func TestAVoidThatFailsAgainAndAgainCallsForAPersonRarely(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.cancelling()
	s.peer.always(o.ID, order.Void, fails(codes.Internal, "", 0))
	s.relay(func(p *pace) { p.VoidAlarm = 2 })
	s.awaitRow(o.ID, order.Void, "it has failed ten times", func(r row) bool { return r.Answers >= 10 })
	s.peer.always(o.ID, order.Void, nil)
	s.await(o.ID, order.Cancelled)
	var at []string
	for _, l := range s.log.lines("order needs a person") {
		if l["order_id"] != o.ID || l["level"] != "ERROR" {
			t.Errorf("got the line %v, want an error about order %s", l, o.ID)
		}
		at = append(at, l["failures"])
	}
	if len(at) < 3 || at[0] != "2" || at[1] != "4" || at[2] != "8" {
		t.Errorf("got alarms at failures %q, want 2, 4, 8 and so on", at)
	}
}

// Relays died at the very claims at which the alarm is due, and some deliveries got no answer. What counts is how often
// the void has failed, whoever met that: nobody's death swallows the call.
func TestTheAlarmOfAVoidIsNotSwallowed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.cancelling()
	die := func() { s.exec(`UPDATE outbox SET claims = claims + 1 WHERE key = $1`, o.ID) }
	s.peer.script(o.ID, order.Void,
		breaks, fails(codes.Internal, "", 0), fails(codes.Unavailable, "", 0), fails(codes.Unknown, "", 0))
	die()
	die()
	slowly := func(p *pace) {
		p.VoidAlarm, p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = 2, time.Hour, time.Hour, time.Hour
	}
	first := s.relay(slowly)
	for failures := 1; failures <= 4; failures++ {
		eventually(t, "it has failed once more", func() bool {
			s.hurry()
			return s.count(`SELECT count(*) FROM attempts WHERE order_id = $1`, o.ID) == failures
		})
		die() // and so another claim is lost
		if failures == 1 {
			first.stop()
			s.relay(slowly)
		}
	}
	s.peer.always(o.ID, order.Void, nil)
	s.drained()
	var at []string
	for _, l := range s.log.lines("order needs a person") {
		at = append(at, l["failures"])
	}
	if !slices.Equal(at, []string{"2", "4"}) {
		t.Errorf("got alarms at failures %q, want 2 and 4", at)
	}
}

// Poison of every kind stands at the head of the outbox, tried as fast as may be. The others are settled meanwhile.
func TestPoisonDelaysNobody(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for timeouts")
	s := newSystem(t)
	poison := map[string]step{
		"ambiguous": fails(codes.Internal, "", 0),
		"blocked":   fails(codes.Unavailable, "", 0),
		"busy":      fails(codes.ResourceExhausted, "", time.Minute),
		"conflict":  fails(codes.AlreadyExists, "KEY_REUSED", 0),
		"lost":      loses(codes.Internal),
		"hangs":     hangs,
		"breaks":    breaks,
	}
	charges := map[string]order.Order{}
	var poisoned []order.Order
	for name, does := range poison {
		charge, void := s.place(), s.cancelling()
		s.peer.always(charge.ID, order.Charge, does)
		s.peer.always(void.ID, order.Void, does)
		charges[name] = charge
		poisoned = append(poisoned, charge, void)
	}
	plain := s.placeMany(50)
	r := s.relay(func(p *pace) { p.CallTimeout, p.MaxAttempts = time.Second, 1_000_000 })
	eventually(t, "the plain ones are settled", func() bool {
		return s.count(`SELECT count(*) FROM orders WHERE status = 'COMPLETED'`) == len(plain)
	})
	for _, o := range poisoned {
		if got := s.get(o.ID).Status; got != o.Status {
			t.Errorf("got a poisoned order %s, want it still %s", got, o.Status)
		}
	}
	parked := charges["conflict"].ID
	s.awaitRow(parked, order.Charge, "the one in conflict is parked", func(r row) bool { return r.Parked })
	for _, o := range poisoned {
		s.peer.always(o.ID, order.Charge, nil)
		s.peer.always(o.ID, order.Void, nil)
	}
	s.retryParked(r, parked)
	s.drained()
}
