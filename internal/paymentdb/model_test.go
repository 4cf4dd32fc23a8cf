package paymentdb_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// model is what a few keys hold when each command is given to payment.Apply, one after the other.
type model struct {
	t        *testing.T
	store    *paymentdb.Store
	keys     []payment.Request // of the run, with the amount that is usually asked
	asked    map[string]payment.Request
	statuses map[string]payment.Status
}

func TestTheDatabaseAgreesWithApplyOverAnySequenceOfBatches(t *testing.T) {
	slow.Test(t, "walks at random through batches of commands")
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			t: t, store: store, keys: []payment.Request{newRequest(), newRequest(), newRequest()},
			asked: map[string]payment.Request{}, statuses: map[string]payment.Status{},
		}
		rt.Repeat(map[string]func(*rapid.T){"charge": m.charge, "void": m.void, "": m.read})
	})
	checkBooks(t, db.Pool)
}

func (m *model) charge(t *rapid.T) {
	charges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) payment.Authorisation {
		if rapid.Bool().Draw(t, "approved") {
			return approved(m.drawRequest(t))
		}
		return declined(m.drawRequest(t))
	}), 1, 6).Draw(t, "charges")
	got, err := m.store.Charge(m.t.Context(), charges)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range charges {
		m.check(t, got[i], m.apply(c.Request, c.Command()), c.Request)
	}
}

// void asks twice: within one batch, each result is what the whole batch made of its key.
func (m *model) void(t *rapid.T) {
	requests := rapid.SliceOfN(rapid.Custom(m.drawRequest), 1, 6).Draw(t, "requests")
	got, err := m.store.Void(m.t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		m.apply(r, payment.Void)
	}
	for i, r := range requests {
		m.check(t, got[i], m.apply(r, payment.Void), r)
	}
}

// read is what holds after each step: what is stored is what the model holds.
func (m *model) read(t *rapid.T) {
	got, err := m.store.Lookup(m.t.Context(), m.keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range m.keys {
		known, ok := m.asked[r.ID]
		switch {
		case !ok && errors.Is(got[i].Err, paymentdb.ErrNotFound):
		case ok && known != r && errors.Is(got[i].Err, paymentdb.ErrKeyReused):
		case ok && known == r && got[i].Err == nil && got[i].Payment.Status == m.statuses[r.ID]:
		default:
			t.Errorf("looked up %+v: got %+v, want %q of %+v", r, got[i], m.statuses[r.ID], known)
		}
	}
}

// drawRequest is about one of the keys, now and then for another amount.
func (m *model) drawRequest(t *rapid.T) payment.Request {
	r := rapid.SampledFrom(m.keys).Draw(t, "key")
	r.AmountMinor += int64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "more"))
	return r
}

// apply gives the command to the model and returns the status after it, None for a key that was reused.
func (m *model) apply(r payment.Request, c payment.Command) payment.Status {
	if known, ok := m.asked[r.ID]; ok && known != r {
		return payment.None
	}
	m.asked[r.ID] = r
	m.statuses[r.ID] = payment.Apply(m.statuses[r.ID], c).Status
	return m.statuses[r.ID]
}

func (m *model) check(t *rapid.T, got paymentdb.Result, want payment.Status, r payment.Request) {
	switch {
	case want == payment.None && errors.Is(got.Err, paymentdb.ErrKeyReused):
	case want != payment.None && got.Err == nil && got.Payment.Status == want && got.Payment.Matches(r):
	default:
		t.Errorf("%+v: got %+v, want %q", r, got, want)
	}
}
