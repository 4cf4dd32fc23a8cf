package paymentdb_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// history is how a payment gets into each status.
var history = map[payment.Status][]payment.Command{
	payment.None:     nil,
	payment.Charged:  {payment.ChargeApproved},
	payment.Declined: {payment.ChargeDeclined},
	payment.Voided:   {payment.Void},
	payment.Refunded: {payment.ChargeApproved, payment.Void},
}

func TestEveryCommandOnEveryStoredStatusDoesWhatApplyDecides(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	for _, stored := range payment.Statuses {
		for _, command := range payment.Commands {
			t.Run(string(stored)+"/"+command.String(), func(t *testing.T) {
				t.Parallel()
				request := newRequest()
				var before payment.Payment
				for _, c := range history[stored] {
					before = send(t, store, c, request).Payment
				}
				if before.Status != stored {
					t.Fatalf("got %q to begin with, want %q", before.Status, stored)
				}
				booked := entries(t, db.Pool, request.ID)

				got := send(t, store, command, request)

				want := payment.Apply(stored, command)
				if got.Err != nil || got.Payment.Status != want.Status || !got.Payment.Matches(request) {
					t.Errorf("got %+v, want %s of %+v", got, want.Status, request)
				}
				if reason := wantReason(before, want); got.Payment.DeclineReason != reason {
					t.Errorf("got decline reason %q, want %q", got.Payment.DeclineReason, reason)
				}
				if want.Entry != payment.NoEntry {
					booked = append(booked, want.Entry)
				}
				if diff := cmp.Diff(booked, entries(t, db.Pool, request.ID)); diff != "" {
					t.Errorf("ledger (-want +got):\n%s", diff)
				}
				if moved := got.Payment.UpdatedAt.After(before.UpdatedAt); moved != (want.Status != stored) {
					t.Errorf("got an update: %t, want %t", moved, want.Status != stored)
				}
				again, _, err := store.Get(t.Context(), request.ID)
				if diff := cmp.Diff(got.Payment, again); err != nil || diff != "" {
					t.Errorf("read again: error %v (-returned +stored):\n%s", err, diff)
				}
			})
		}
	}
	t.Cleanup(func() { checkBooks(t, db.Pool) })
}

func wantReason(before payment.Payment, d payment.Decision) payment.DeclineReason {
	if before.Status == payment.Declined {
		return before.DeclineReason
	}
	return d.Reason
}

func TestAnotherCustomerAmountOrCurrencyUnderAKnownKeyChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	others := map[string]func(*payment.Request){
		"customer": func(r *payment.Request) { r.CustomerID = "c-2" },
		"amount":   func(r *payment.Request) { r.AmountMinor++ },
		"currency": func(r *payment.Request) { r.Currency = "USD" },
	}
	for what, alter := range others {
		for _, command := range payment.Commands {
			for stored, commands := range history {
				if stored == payment.None {
					continue
				}
				t.Run(what+"/"+string(stored)+"/"+command.String(), func(t *testing.T) {
					t.Parallel()
					request := newRequest()
					var before payment.Payment
					for _, c := range commands {
						before = send(t, store, c, request).Payment
					}
					other := request
					alter(&other)

					got := send(t, store, command, other)

					if !errors.Is(got.Err, paymentdb.ErrKeyReused) || got.Payment != (payment.Payment{}) {
						t.Errorf("got %+v, want ErrKeyReused and no payment", got)
					}
					after, _, err := store.Get(t.Context(), request.ID)
					if diff := cmp.Diff(before, after); err != nil || diff != "" {
						t.Errorf("error %v (-before +after):\n%s", err, diff)
					}
				})
			}
		}
	}
	t.Cleanup(func() { checkBooks(t, db.Pool) })
}
