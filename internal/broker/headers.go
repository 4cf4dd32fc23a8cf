package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// specVersion is the version of CloudEvents that all events are.
const specVersion = "1.0"

// The attributes of an event, as CloudEvents 1.0 names them, and the trace context, which has a name of its own
// everywhere (W3C Trace Context, Distributed Tracing extension).
const (
	attributeVersion = "specversion"
	attributeID      = "id"
	attributeSource  = "source"
	attributeType    = "type"
	attributeSubject = "subject"
	attributeTime    = "time"
	attributeReason  = "reason" // an extension of ours, of dead letters

	// HeaderTraceparent is the header of the trace context. It has no prefix on any broker.
	HeaderTraceparent = "traceparent"
	// HeaderContentType is the header of what the data is, where the broker has no property for it.
	HeaderContentType = "content-type"
)

// Header is one header of an event.
type Header struct{ Name, Value string }

// Headers returns the headers of an event but for its content type, which each broker has in a place of its own. The
// prefix is the broker's binding's: "ce_" for Kafka, "ce-" for NATS, "cloudEvents:" for AMQP. A dead letter has those
// with which it came, whatever they were, and the reason.
func (e *Event) Headers(prefix string) []Header {
	if e.IsDeadLetter() && e.Came != nil {
		reason := Header{prefix + attributeReason, e.Reason}
		others := slices.DeleteFunc(slices.Clone(e.Came), func(h Header) bool { return h.Name == reason.Name })
		return append(others, reason)
	}
	headers := make([]Header, 0, 8)
	headers = append(headers,
		Header{prefix + attributeVersion, specVersion},
		Header{prefix + attributeID, e.ID},
		Header{prefix + attributeSource, e.Source},
		Header{prefix + attributeType, e.Type},
		Header{prefix + attributeSubject, e.Subject},
		Header{prefix + attributeTime, e.Time.UTC().Format(time.RFC3339Nano)})
	if e.Reason != "" {
		headers = append(headers, Header{prefix + attributeReason, e.Reason})
	}
	if e.Traceparent != "" {
		headers = append(headers, Header{HeaderTraceparent, e.Traceparent})
	}
	return headers
}

// SetHeaders fills an event in from the headers that it came with, but for its content type. What is missing or not of
// its form is its Fault.
func (e *Event) SetHeaders(prefix string, came []Header) {
	if e.Came = came; came == nil {
		e.Came = []Header{} // it came, with none
	}
	header := func(name string) string {
		i := slices.IndexFunc(came, func(h Header) bool { return h.Name == name })
		if i < 0 {
			return ""
		}
		return came[i].Value
	}
	var faults []string
	fault := func(attribute, format string, args ...any) {
		faults = append(faults, "header "+prefix+attribute+": "+fmt.Sprintf(format, args...))
	}
	need := func(attribute string) string {
		value := header(prefix + attribute)
		if value == "" {
			fault(attribute, "missing")
		}
		return value
	}
	if version := need(attributeVersion); version != "" && version != specVersion {
		fault(attributeVersion, "got %.20q, want %s", version, specVersion)
	}
	e.ID, e.Source, e.Type = need(attributeID), need(attributeSource), need(attributeType)
	e.Subject, e.Traceparent = need(attributeSubject), header(HeaderTraceparent)
	e.Reason = header(prefix + attributeReason)
	if text := need(attributeTime); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			fault(attributeTime, "got %.40q, want an RFC 3339 time", text)
		}
		e.Time = at
	}
	if faults != nil {
		e.Fault = errors.New(strings.Join(faults, "; "))
	}
}

// Dedupe returns the id by which a broker may drop what it takes for a duplicate. With the fact alone it would drop
// each resend, which is there because the broker may have lost the send before. Dead letters have none: what they are
// anybody may have said, twice with one id or with none, and each is kept.
func (e *Event) Dedupe() string {
	if e.IsDeadLetter() {
		return ""
	}
	return fmt.Sprintf("%s#%d", e.ID, e.Send)
}

// IsDeadLetter reports whether an event was set aside.
func (e *Event) IsDeadLetter() bool { return e.Reason != "" }
