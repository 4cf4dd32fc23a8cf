package dispatch

import (
	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/trace"
)

// trace starts the span of a delivery, if its order is traced, and notes it in the message: it ends when it is clear
// what the delivery came to (Ended). What paymentd does is a part of it. Without a span the delivery goes on under what
// the outbox says, so that a paymentd which traces still finds the order's trace.
func (d *Dispatcher) trace(next *delivery) {
	next.traceparent = Begin(d.config.Traces, &next.message, oteltrace.SpanKindClient)
}

// Begin starts the span of a delivery, notes it in the message, and returns what it is carried out under.
func Begin(traces *trace.Tracer, m *outbox.Message, kind oteltrace.SpanKind) (traceparent string) {
	if m.Traceparent == nil {
		return ""
	}
	name := "deliver CHARGE"
	if order.Command(m.Kind) == order.Void {
		name = "deliver VOID"
	}
	span := traces.Join(*m.Traceparent, name, oteltrace.WithSpanKind(kind))
	if span == nil {
		return *m.Traceparent
	}
	span.SetAttributes(trace.OrderID.String(m.Key), trace.Kind.String(m.Kind), trace.Claim.Int(m.Claims),
		trace.Attempt.Int(m.Attempts+1))
	m.Note = span
	return trace.Traceparent(span)
}

// Ended ends the span of a delivery, if it has one, with what it came to. A late decision comes after its end.
func (d *Dispatcher) Ended(r outbox.Report) {
	span, ok := r.Message.Note.(oteltrace.Span)
	if !ok || r.Late {
		return
	}
	if method := d.Method(r); method != "" {
		span.SetAttributes(trace.Method.String("payment.v1.PaymentService/" + method))
	}
	Outcome(span, r)
	span.End()
}

// Outcome notes in a span what a delivery came to.
func Outcome(span oteltrace.Span, r outbox.Report) {
	span.SetAttributes(trace.Code.String(r.Code), trace.Means.String(r.Result.String()))
	if r.Result != outbox.Decided && r.Result != outbox.HandedOver {
		trace.Failed(span, r.Code)
	}
}
