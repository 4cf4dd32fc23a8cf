package orderdb_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// What a payment service, customers, operators and workers with stale claims can do to an order, in any order. The
// payment is modelled as far as doc/rules.md has it: what it answers is true when it answers, and may be applied much
// later. At every step a PENDING order has its CHARGE, a CANCELLING one its VOID, and a settled one nothing (I5); no
// status goes back (I6); and in the end COMPLETED means CHARGED, and CANCELLED that no money is held (I2, I3).
func TestWhateverHappensEachOrderHasTheCommandsItNeeds(t *testing.T) {
	slow.Test(t, "walks at random through what may happen to orders")
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	rapid.Check(t, func(rt *rapid.T) {
		o := place(t, s, newOrder())
		defer func() { // the next order has the outbox for itself
			if _, err := db.Pool.Exec(t.Context(), `DELETE FROM outbox`); err != nil {
				t.Fatal(err)
			}
		}()
		last := order.Pending
		var payment order.Event // what is stored; 0: nothing yet
		var claims []outbox.Message
		var heard []orderdb.Finding
		byHand, forgotten, completed := false, false, false
		draw := func(rt *rapid.T, from []outbox.Message) outbox.Message {
			if len(from) == 0 {
				rt.Skip("nothing was claimed yet")
			}
			return from[rapid.IntRange(0, len(from)-1).Draw(rt, "claim")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": func(*rapid.T) {
				const lease = 0 // none holds: everything may be claimed again at once
				claims = append(claims, claimAll(t, db.Pool, lease, 10, 1)...)
			},
			"answer": func(rt *rapid.T) { // paymentd decides; the relay hears it, and has not applied it yet
				m := draw(rt, claims)
				switch {
				case payment == 0 && m.Kind == "CHARGE":
					payment = rapid.SampledFrom([]order.Event{
						order.PaymentCharged, order.PaymentCharged, order.PaymentDeclined, order.PaymentExpired,
					}).Draw(rt, "decision")
				case payment == 0:
					payment = order.PaymentVoided
				case payment == order.PaymentCharged && m.Kind == "VOID":
					payment = order.PaymentRefunded
				}
				f := way(rapid.IntRange(0, 1).Draw(rt, "way"))(payment, m)
				f.Retry.Delay, f.Longest = 0, 0
				heard = append(heard, f)
			},
			"forget": func(rt *rapid.T) { // the payments database is restored to an older state
				if payment == order.PaymentCharged && completed {
					payment, forgotten = 0, true
				}
			},
			"no answer": func(rt *rapid.T) {
				m := draw(rt, claims)
				events := []order.Event{
					order.ChargeUndecided, order.ChargeSpent, order.ChargeRefused, order.ChargeLate,
					order.ChargeConflict,
				}
				if m.Kind == "VOID" {
					events = []order.Event{order.VoidUndecided, order.VoidConflict, order.VoidUnreadable}
				}
				f := found(rapid.SampledFrom(events).Draw(rt, "event"), m)
				f.Retry.Delay, f.Longest = 0, 0
				heard = append(heard, f)
			},
			"settle": func(rt *rapid.T) { // some of what was heard, repeats included
				if len(heard) == 0 {
					rt.Skip("nothing was heard yet")
				}
				batch := rapid.SliceOfN(rapid.SampledFrom(heard), 1, 3).Draw(rt, "batch")
				if _, err := s.Settle(t.Context(), batch); err != nil {
					rt.Fatal(err)
				}
			},
			"cancel": func(*rapid.T) {
				if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
					rt.Fatal(err)
				}
			},
			"operator": func(*rapid.T) {
				if _, changed, err := s.SettleByHand(t.Context(), decision(o.ID)); err == nil && changed {
					byHand = true
				}
			},
			"": func(rt *rapid.T) {
				now := get(t, s, o.ID).Status
				completed = completed || now == order.Completed
				if now.Before(last) {
					rt.Fatalf("the order went from %s to %s", last, now)
				}
				last = now
				kinds := commands(t, db.Pool, o.ID)
				switch now {
				case order.Pending:
					if !slices.Contains(kinds, "CHARGE") {
						rt.Fatalf("PENDING with commands %v", kinds)
					}
				case order.Cancelling:
					if !slices.Contains(kinds, "VOID") {
						rt.Fatalf("CANCELLING with commands %v", kinds)
					}
				case order.Completed:
					if len(kinds) > 0 || payment != order.PaymentCharged && !forgotten {
						rt.Fatalf("COMPLETED with commands %v and %s", kinds, payment)
					}
				case order.Cancelled:
					if len(kinds) > 0 || !byHand && (payment == 0 || payment == order.PaymentCharged) {
						rt.Fatalf("CANCELLED with commands %v and %s", kinds, payment)
					}
					if completed && !byHand && payment != order.PaymentRefunded {
						rt.Fatalf("CANCELLED after COMPLETED with %s", payment)
					}
				}
			},
		})
	})
}
