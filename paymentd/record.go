package main

import (
	"context"
	"log/slog"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
)

// record writes the line that an order's story is read from. The client sees the code; whoever reads the log sees the
// cause.
func (s *server) record(ctx context.Context, result *paymentv1.PaymentResult, a answer) {
	level := severity(result.GetError())
	attrs := make([]slog.Attr, 0, 4)
	attrs = append(attrs, slog.String("payment_id", a.asked.ID), slog.String("kind", kindName(result.GetKind())))
	switch {
	case a.err != nil:
		attrs = append(attrs, slog.String("code", codeName(result.GetError())), slog.String("error", a.err.Error()))
	case a.payment.DeclineReason != "":
		attrs = append(attrs, slog.String("status", string(a.payment.Status)),
			slog.String("reason", string(a.payment.DeclineReason)))
		if cameLate(a) {
			level = slog.LevelWarn
		}
	default:
		attrs = append(attrs, slog.String("status", string(a.payment.Status)))
	}
	s.log.LogAttrs(ctx, level, "payment", attrs...)
}

// recordLate writes that line for a call of its own, whose line of every day is rpc's and tells no outcome.
func (s *server) recordLate(ctx context.Context, a answer) {
	if cameLate(a) {
		s.record(ctx, toResult(a), a)
	}
}

// cameLate reports whether an answer is that of an expired charge. That is worth a look, whichever way it was asked
// for: it may mean that a clock runs ahead.
func cameLate(a answer) bool { return a.err == nil && a.payment.DeclineReason == payment.Expired }
