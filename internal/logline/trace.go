package logline

import "log/slog"

// traceparentSize is how long a W3C trace context of version 00 is: 00-<32 hex digits>-<16>-<2>.
const traceparentSize = 55

// WithTrace adds the id of the trace in a W3C trace context, trace_id, 32 hex digits, to the attributes of a line. It
// adds nothing where there is no context of the known form.
func WithTrace(attrs []slog.Attr, traceparent string) []slog.Attr {
	if id := TraceID(traceparent); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	return attrs
}

// TraceID returns the id of the trace in a W3C trace context, 32 hex digits; "" where it is none of the known form.
func TraceID(traceparent string) string {
	if len(traceparent) != traceparentSize || traceparent[:3] != "00-" || traceparent[35] != '-' {
		return ""
	}
	id := traceparent[3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
