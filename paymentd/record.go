package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	errorv1 "hosho/gen/error/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/digest"
	"hosho/internal/identity"
	"hosho/internal/logline"
	"hosho/internal/payment"
	"hosho/internal/rpc"
)

// longestError bounds what a line tells of an error, in bytes: a small command can break many rules, and a panic
// has a stack.
const longestError = 2 << 10

// ownRepeats is how many repeats of a kind have a line of their own in an interval.
const ownRepeats = 100

// newRepeats keeps repeats from filling the log. While what commands came to cannot be published each of them is asked
// for again five times a second.
func newRepeats(log *slog.Logger) *digest.Digest[string] {
	return digest.New(digest.Config[string]{Own: ownRepeats, Together: func(kind string, n int) {
		log.Info("payments", "kind", kind, "repeat", true, "payments", n)
	}})
}

// record writes the line that an order's story is read from. The client sees the code; whoever reads the log sees the
// cause. In an outage all commands have the same one, and what has no key is in no story: the first of a kind has a
// line, and the others a common one, and so have repeats where they come by the thousand. All are counted.
func (s *server) record(ctx context.Context, a *answer, refusal *paymentv1.PaymentError) {
	level := severity(refusal)
	if a.err != nil {
		s.undecided(a, refusal)
		s.refused.WithLabelValues(kindName(a.kind), refusal.GetReason()).Inc()
		if (level == slog.LevelWarn || a.asked.ID == "") && !tells(ctx, s.refusals, a.kind, refusal) {
			return
		}
	}
	repeat := a.err == nil && !a.fresh // the outcome is stored, and no money moves
	if repeat && !s.repeats.Tells(kindName(a.kind)) {
		return
	}
	attrs := make([]slog.Attr, 0, 7)
	attrs = append(attrs, slog.String("payment_id", a.asked.ID), slog.String("kind", kindName(a.kind)))
	if id := identity.Of(ctx); id != "" {
		attrs = append(attrs, slog.String("identity", id))
	}
	switch {
	case a.err != nil:
		attrs = append(attrs, slog.String("code", codeName(refusal)),
			slog.String("error", rpc.Brief(a.err.Error(), longestError)))
	case a.payment.DeclineReason != "":
		attrs = append(attrs, slog.String("status", string(a.payment.Status)),
			slog.String("reason", string(a.payment.DeclineReason)))
		if a.payment.DeclineReason == payment.Expired { // it may mean that a clock runs ahead
			level = slog.LevelWarn
		}
	default:
		attrs = append(attrs, slog.String("status", string(a.payment.Status)))
	}
	if repeat {
		attrs = append(attrs, slog.Bool("repeat", true))
	}
	logline.Write(ctx, s.log, level, "payment", logline.WithTrace(attrs, a.traceparent)...)
}

// newRefused counts commands of streams and of events.
func newRefused() *prometheus.CounterVec {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_paymentd_commands_refused_total",
		Help: "Commands of streams and of events that came to an error, by reason.",
	}, []string{"kind", "reason"})
	for _, kind := range []paymentv1.PaymentResult_Kind{kindCharge, kindVoid} {
		for _, reason := range reasons {
			refused.WithLabelValues(kindName(kind), rpc.ReasonName(reason))
		}
	}
	return refused
}

// reasons are those that a command may be refused for.
var reasons = []errorv1.ErrorReason{
	errorv1.ErrorReason_ERROR_REASON_CALL_CANCELLED,
	errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_BUSY,
	errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_TIMEOUT,
	errorv1.ErrorReason_ERROR_REASON_COLLISION,
	errorv1.ErrorReason_ERROR_REASON_COMMIT_UNKNOWN,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_FULL,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_MISCONFIGURED,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_UNAVAILABLE,
	errorv1.ErrorReason_ERROR_REASON_DEADLINE_PASSED,
	errorv1.ErrorReason_ERROR_REASON_INTERNAL,
	errorv1.ErrorReason_ERROR_REASON_INVALID_FIELDS,
	errorv1.ErrorReason_ERROR_REASON_KEY_REUSED,
	errorv1.ErrorReason_ERROR_REASON_NOT_ALLOWED,
	errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
	errorv1.ErrorReason_ERROR_REASON_REPLY_LOST,
	errorv1.ErrorReason_ERROR_REASON_STOPPING,
	errorv1.ErrorReason_ERROR_REASON_WRONG_PAYMENTS_DATABASE,
}
