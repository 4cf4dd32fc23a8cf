package main

import (
	"cmp"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/events"
	"hosho/internal/paymentdb"
)

// note counts what a statement found or decided, and tells of each payment. It is called when that is committed,
// whether or not anybody waits for the answer still.
func (s *server) note(kind paymentv1.PaymentResult_Kind, commands []command, results []paymentdb.Result) {
	s.metrics.note(kind, results)
	for i, r := range results {
		if r.Err == nil {
			s.events.Payment(commands[i].traceparent, events.Decision{
				PaymentID: r.Payment.ID, Kind: kindName(kind),
				Status: r.Payment.Status, Reason: r.Payment.DeclineReason, Repeat: !r.New,
				AmountMinor: r.Payment.AmountMinor, Currency: r.Payment.Currency,
			})
		}
	}
}

// undecided tells of a command that was answered an error. What is no key is in no story.
func (s *server) undecided(a *answer, refusal *paymentv1.PaymentError) {
	if a.asked.ID == "" {
		return
	}
	s.events.Payment(a.traceparent, events.Decision{
		PaymentID: a.asked.ID, Kind: kindName(a.kind), Code: cmp.Or(refusal.GetReason(), codeName(refusal)),
	})
}
