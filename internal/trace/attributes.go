package trace

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// The attributes of spans; doc/observe.md says what they mean. A payment's id is its order's.
const (
	OrderID = attribute.Key("hosho.order.id")       // text
	Kind    = attribute.Key("hosho.kind")           // CHARGE or VOID
	Claim   = attribute.Key("hosho.claim")          // which of the command's claims it was, from 1 on
	Attempt = attribute.Key("hosho.attempt")        // which try of the budget of answers that are no answer, from 1 on
	Code    = attribute.Key("hosho.code")           // what came back: a reason or a gRPC code
	Means   = attribute.Key("hosho.means")          // what the relay took that for
	Status  = attribute.Key("hosho.status")         // of the order or the payment afterwards
	Reason  = attribute.Key("hosho.decline_reason") // of a payment that was declined
	Repeat  = attribute.Key("hosho.repeat")         // it was done before
	Method  = attribute.Key("rpc.method")           // that carried it
	Size    = attribute.Key("hosho.batch.size")     // how many were done at once
)

// Failed notes that what a span is about came to nothing, and why.
func Failed(span oteltrace.Span, why string) { span.SetStatus(codes.Error, why) }
