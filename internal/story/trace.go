package story

import relayv1 "hosho/gen/relay/v1"

// TraceID is the trace of the order: of the request that placed it, under which it is charged and settled. It is empty
// where nobody traced it.
func (s Story) TraceID() string {
	for _, c := range s.Delivery.GetCommands() {
		if c.GetKind() == relayv1.ParkedCommand_KIND_CHARGE && c.GetTraceId() != "" {
			return c.GetTraceId()
		}
	}
	for _, at := range s.Delivery.GetAttempts() {
		if at.GetKind() == relayv1.ParkedCommand_KIND_CHARGE && at.GetTraceId() != "" {
			return at.GetTraceId()
		}
	}
	for _, c := range s.Delivery.GetChanges() {
		if c.GetFrom() == relayv1.StatusChange_STATUS_PENDING && c.GetWho() != Orderd {
			return c.GetTraceId()
		}
	}
	return ""
}
