package board

import (
	"container/list"
	"time"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// record is what is known of an order. Its events come from several daemons, and in any order.
type record struct {
	id       string
	amount   int64 // its total, in the minor unit of its currency
	currency string
	status   orderv1.Order_Status // the latest
	reason   orderv1.Order_CancelReason
	since    time.Time // of that status, by the clock of the daemon that told it

	accepted time.Time // by the same; zero: not heard
	ended    time.Time // when it was settled first, by the same
	measured bool      // how long that took was counted

	held, owed int64 // that moved since the console looks, in the minor unit
	counts     bool  // both are part of the ledger
	barred     bool  // they will not be
	lingers    bool  // it is shown among those that are CANCELLING

	payment paymentv1.Payment_Status // the latest that the payment service has told

	touched time.Time // when it was told of last
	recent  *list.Element
}

// name notes what the order is about.
func (r *record) name(amount *moneyv1.Money) {
	if amount.GetCurrencyCode() != "" && r.currency == "" {
		r.amount, r.currency = amount.GetAmountMinor(), amount.GetCurrencyCode()
	}
}

// settled reports whether nothing follows by itself.
func (r *record) settled() bool {
	return r.status == orderv1.Order_STATUS_COMPLETED || r.status == orderv1.Order_STATUS_CANCELLED
}

// record returns that of an order, which is made where there is none. It is nil when there are too many.
func (b *Board) record(now time.Time, id string) *record {
	r := b.records[id]
	if r == nil && len(b.records) >= maxRecords {
		b.ledger.note(now, TooMany, "")
		return nil
	}
	if r == nil {
		r = &record{id: id}
		b.records[id] = r
	}
	b.touch(now, r)
	return r
}

// touch has an order be one that was told of just now.
func (b *Board) touch(now time.Time, r *record) {
	r.touched = now
	if r.recent == nil {
		r.recent = b.recent.PushBack(r)
	} else {
		b.recent.MoveToBack(r.recent)
	}
}

// forget lets go of the orders of which nothing more is to come. One that is under way, or whose sides differ, stays.
func (b *Board) forget(now time.Time) {
	for front := b.recent.Front(); front != nil; front = b.recent.Front() {
		r := front.Value.(*record)
		if now.Sub(r.touched) < memory {
			return
		}
		if r.counts && r.untold() {
			b.ledger.note(now, Stranger, "")
			b.ledger.leaveOut(r)
		}
		b.recent.Remove(front)
		r.recent = nil
		if !r.counts || r.settled() && r.held == r.owed {
			b.remove(r)
		}
	}
}

// untold reports whether an order was settled without a word of the payment service: a paymentd was at it to which
// nobody listens.
func (r *record) untold() bool {
	return r.settled() && r.held != r.owed && r.payment == paymentv1.Payment_STATUS_UNSPECIFIED
}

// over reports whether an order is settled, and its payment as well, as far as both were told.
func (r *record) over() bool {
	if r.held != r.owed {
		return false
	}
	if r.status == orderv1.Order_STATUS_COMPLETED {
		return r.payment == paymentv1.Payment_STATUS_CHARGED
	}
	return r.status == orderv1.Order_STATUS_CANCELLED && r.payment > paymentv1.Payment_STATUS_CHARGED
}

// remove lets go of an order.
func (b *Board) remove(r *record) {
	if r.recent != nil {
		b.recent.Remove(r.recent)
	}
	b.columns.forget(r)
	delete(b.records, r.id)
}
