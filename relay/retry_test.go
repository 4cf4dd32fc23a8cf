package main

import (
	"slices"
	"testing"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	"hosho/internal/order"
	"hosho/internal/payment"
)

func TestEveryCodeOnceAndThenSuccess(t *testing.T) {
	both(t, func(s *system, begin func()) {
		charges, voids := map[codes.Code]order.Order{}, map[codes.Code]order.Order{}
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			if code == codes.DeadlineExceeded {
				continue
			}
			charges[code], voids[code] = s.place(), s.cancelling()
			s.peer.script(charges[code].ID, order.Charge, fails(code, "", 0))
			s.peer.script(voids[code].ID, order.Void, fails(code, "", 0))
		}
		begin()
		s.relay()
		s.drained()
		for code, o := range charges {
			deliveries := s.deliveries(o.ID, order.Charge)
			if got, want := deliveries[0]["code"], rpccode.Code(code).String(); got != want {
				s.t.Errorf("%s: got code %s, want %s", code, got, want)
			}
			if slices.Contains(refusing, code) { // void first: it may have been charged all the same
				if got := s.get(o.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonPaymentFailed {
					s.t.Errorf("%s: got %s (%s), want CANCELLED (PAYMENT_FAILED)", code, got.Status, got.CancelReason)
				}
				if got := len(s.deliveries(o.ID, order.Void)); got != 1 || len(deliveries) != 1 {
					s.t.Errorf("%s: got %d charges and %d voids, want one of each", code, len(deliveries), got)
				}
				continue
			}
			spent := "0"
			if slices.Contains(spending, code) {
				spent = "1"
			}
			if len(deliveries) != 2 || deliveries[1]["attempts"] != spent || deliveries[1]["code"] != "OK" {
				s.t.Errorf("%s: got deliveries %v, want a second with %s attempts spent", code, deliveries, spent)
			}
			s.await(o.ID, order.Completed)
		}
		for code, o := range voids { // whatever it says, a void goes on
			deliveries, want := s.deliveries(o.ID, order.Void), rpccode.Code(code).String()
			if len(deliveries) != 2 || deliveries[0]["code"] != want {
				s.t.Errorf("%s: got deliveries %v, want two", code, deliveries)
			}
		}
	})
}

// Ambiguous replies are counted, and when there were too many the order is given up: through a void, since any of them
// may have been a charge.
func TestTheBudgetOfAttempts(t *testing.T) {
	both(t, func(s *system, begin func()) {
		never, lost := s.place(), s.place()
		s.peer.always(never.ID, order.Charge, fails(codes.Internal, "", 0))
		s.peer.always(lost.ID, order.Charge, loses(codes.Internal))
		begin()
		s.relay(func(p *pace) { p.MaxAttempts = 3 })
		s.drained()
		for o, want := range map[string]payment.Status{never.ID: payment.Voided, lost.ID: payment.Refunded} {
			if got := s.get(o); got.Status != order.Cancelled || got.CancelReason != order.ReasonPaymentFailed {
				s.t.Errorf("got %s (%s), want CANCELLED (PAYMENT_FAILED)", got.Status, got.CancelReason)
			}
			if got, _ := s.bank.get(o); got != want {
				s.t.Errorf("got payment %s, want %s", got, want)
			}
			if got := len(s.peer.arrived(o, order.Charge)); got != 3 {
				s.t.Errorf("got %d charges, want the 3 of the budget", got)
			}
		}
	})
}

// An outage is no poison: however long it lasts, it spends no attempt and cancels nothing. Only the deadline does.
func TestAnOutageSpendsNothingUntilTheDeadline(t *testing.T) {
	both(t, func(s *system, begin func()) {
		o := s.place()
		s.peer.always(o.ID, order.Charge, fails(codes.Unavailable, "", 0))
		begin()
		s.relay(func(p *pace) { p.MaxAttempts = 2 })
		eventually(s.t, "the charge is tried more often than the budget allows", func() bool {
			s.hurry()
			return len(s.peer.arrived(o.ID, order.Charge)) >= 6
		})
		if got, ok := s.row(o.ID, order.Charge); !ok || got.Attempts != 0 {
			s.t.Errorf("got row %+v, %v; want it there, with no attempt spent", got, ok)
		}
		if got := s.get(o.ID).Status; got != order.Pending {
			s.t.Errorf("got order %s, want PENDING", got)
		}
		s.expire(o.ID)
		s.drained()
		if got := s.get(o.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonDeadline {
			s.t.Errorf("got %s (%s), want CANCELLED (DEADLINE)", got.Status, got.CancelReason)
		}
	})
}

func TestRetryInfoIsHonoured(t *testing.T) {
	both(t, func(s *system, begin func()) {
		soon, never := s.place(), s.place()
		s.peer.script(soon.ID, order.Charge, fails(codes.ResourceExhausted, "DATABASE_FULL", 30*time.Second))
		s.peer.script(never.ID, order.Charge, fails(codes.ResourceExhausted, "DATABASE_FULL", 24*time.Hour))
		begin()
		s.relay()
		answered := func(r row) bool { return r.Answers == 1 && !r.Leased }
		got := s.awaitRow(soon.ID, order.Charge, "the first is answered", answered)
		if got.ReadyAfter < 30 || got.LastCode != "DATABASE_FULL" {
			s.t.Errorf("got %+v, want it ready in 30 s at the earliest, DATABASE_FULL", got)
		}
		got = s.awaitRow(never.ID, order.Charge, "the second is answered", answered)
		if got.ReadyAfter < 60 || got.ReadyIn > 60 {
			s.t.Errorf("got %+v, want it ready in 60 s: a peer's wish is granted up to a minute", got)
		}
		s.drained()
	})
}

// ABORTED was rolled back: once more at once, and then at leisure. A leisure of an hour, here, that no test would wait
// for.
func TestAbortedIsTriedOnceMoreAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	once, twice := s.place(), s.place()
	s.peer.script(once.ID, order.Charge, fails(codes.Aborted, "COLLISION", 0))
	s.peer.script(twice.ID, order.Charge, fails(codes.Aborted, "COLLISION", 0), fails(codes.Aborted, "COLLISION", 0))
	s.relay(func(p *pace) { p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = time.Hour, time.Hour, time.Hour })
	s.await(once.ID, order.Completed)
	got := s.awaitRow(twice.ID, order.Charge, "the second ABORTED is written down", func(r row) bool {
		return r.Answers == 2 && !r.Leased
	})
	if got.ReadyIn <= 0 || got.Attempts != 0 {
		t.Errorf("got %+v, want it to wait, with no attempt spent", got)
	}
	s.drained()
}
