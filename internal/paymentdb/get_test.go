package paymentdb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// After each pair of commands, Get returns the entries that the state machine asked for, in the order in which the
// money moved, and their times are the payment's.
func TestGetReturnsTheLedger(t *testing.T) {
	t.Parallel()
	store := paymentdb.New(pgtest.Payments(t).Pool)
	for _, first := range payment.Commands {
		for _, second := range payment.Commands {
			r := newRequest()
			var want []payment.Booking
			stored := payment.None
			for _, c := range []payment.Command{first, second} {
				d := payment.Apply(stored, c)
				if stored = d.Status; d.Entry != payment.NoEntry {
					want = append(want, payment.Booking{
						Entry: d.Entry, AmountMinor: r.AmountMinor, Currency: r.Currency,
					})
				}
				send(t, store, c, r)
			}
			p, ledger, err := store.Get(t.Context(), r.ID)
			if err != nil || p.Status != stored {
				t.Fatalf("%s, %s: got %s (%v), want %s", first, second, p.Status, err, stored)
			}
			if diff := cmp.Diff(want, ledger, cmpopts.IgnoreFields(payment.Booking{}, "At")); diff != "" {
				t.Errorf("%s, %s: ledger (-want +got):\n%s", first, second, diff)
			}
			for _, b := range ledger {
				if b.At.Before(p.CreatedAt) {
					t.Errorf("%s, %s: got %s at %v, before the payment was decided", first, second, b.Entry, b.At)
				}
			}
		}
	}
}
