// Package envelope puts the saga's facts into events for a broker, and takes them out again. relay and paymentd write
// and read the same events through it.
//
// Its promise: what Open returns without an error is a message of a type that this side knows, complete enough to be
// acted on, said by the database that its source names. It says nothing about whether that database is the right one:
// whoever acts on it asks the one that it trusts.
package envelope

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	eventsv1 "hosho/gen/events/v1"
	"hosho/internal/broker"
)

// Side is who says something.
type Side string

// The sides.
const (
	Orders   Side = "orders"
	Payments Side = "payments"
)

// sourcePrefix begins the source of every event of hosho; then come the side and the identity of its database.
const sourcePrefix = "urn:hosho:"

// contentType is that of the data of every event.
const contentType = "application/protobuf"

// Letter is a fact and who says it.
type Letter struct {
	Side        Side
	Database    string // the identity of the side's database
	Key         string // the order's id, which is the payment's
	Time        time.Time
	Traceparent string
	Send        int32 // which send it is, or which one it answers
	Message     proto.Message
}

// ErrForeign says that an event is none of hosho's: its source is another's, or has another form. It is nobody's fault,
// and is left alone.
var ErrForeign = errors.New("not an event of hosho's")

// kind is a type of message: whose it is, what it is called in an event's id, and an empty one.
type kind struct {
	side Side
	fact string
	make func() proto.Message
}

// kinds are all that is ever said.
var kinds = []kind{
	{Orders, "placed", func() proto.Message { return &eventsv1.OrderPlaced{} }},
	{Orders, "cancelling", func() proto.Message { return &eventsv1.OrderCancelling{} }},
	{Payments, "charged", func() proto.Message { return &eventsv1.PaymentCharged{} }},
	{Payments, "declined", func() proto.Message { return &eventsv1.PaymentDeclined{} }},
	{Payments, "voided", func() proto.Message { return &eventsv1.PaymentVoided{} }},
	{Payments, "refunded", func() proto.Message { return &eventsv1.PaymentRefunded{} }},
	{Payments, "refused", func() proto.Message { return &eventsv1.PaymentRefused{} }},
}

// byType are they by the names of their types.
var byType = func() map[string]kind {
	all := make(map[string]kind, len(kinds))
	for _, k := range kinds {
		all[typeOf(k.make())] = k
	}
	return all
}()

func typeOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// Seal makes the event of a letter, to be published on a topic. It panics for a message that is not one of its side's:
// those are made in this program.
func Seal(topic string, l Letter) (broker.Event, error) {
	name := typeOf(l.Message)
	k, known := byType[name]
	if !known || k.side != l.Side {
		panic(fmt.Sprintf("envelope: %s says no %s", l.Side, name))
	}
	data, err := proto.Marshal(l.Message)
	if err != nil {
		return broker.Event{}, fmt.Errorf("encode %s of %s: %w", name, l.Key, err)
	}
	id := l.Key + "/" + k.fact
	if refused, ok := l.Message.(*eventsv1.PaymentRefused); ok { // each refusal is a fact of its own
		id = fmt.Sprintf("%s/%s/%d", id, commandName(refused), refused.GetSend())
	}
	return broker.Event{
		Topic: topic, ID: id, Source: sourcePrefix + string(l.Side) + ":" + l.Database, Type: name, Subject: l.Key,
		Time: l.Time, Traceparent: l.Traceparent, ContentType: contentType, Data: data, Send: l.Send,
	}, nil
}

func commandName(r *eventsv1.PaymentRefused) string {
	return strings.ToLower(strings.TrimPrefix(r.GetCommand().String(), "COMMAND_"))
}

// Open reads an event that a side is to have said. It returns ErrForeign for what is not hosho's; any other error says
// what is wrong with one that claims to be.
func Open(side Side, e broker.Event) (Letter, error) {
	said, database, ours := sourceOf(e.Source)
	switch {
	case e.Fault != nil && !ours:
		return Letter{}, fmt.Errorf("no CloudEvent: %w", e.Fault) // who says it cannot be told
	case !ours:
		return Letter{}, fmt.Errorf("%w: its source is %.100q", ErrForeign, e.Source)
	case e.Fault != nil:
		return Letter{}, e.Fault
	}
	k, known := byType[e.Type]
	switch {
	case !known:
		return Letter{}, fmt.Errorf("type %.100q: not known", e.Type)
	case said != side || k.side != side:
		return Letter{}, fmt.Errorf("%s of %s: got it on a topic of %s", e.Type, said, side)
	case !isUUID(database):
		return Letter{}, fmt.Errorf("source %.100q: its database is no UUID", e.Source)
	}
	m := k.make()
	if err := proto.Unmarshal(e.Data, m); err != nil {
		return Letter{}, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	l := Letter{
		Side: side, Database: database, Key: keyIn(m), Time: e.Time, Traceparent: e.Traceparent, Send: sendIn(m),
		Message: m,
	}
	switch {
	case !isUUID(l.Key):
		return Letter{}, fmt.Errorf("%s: its key %.100q is no UUID", e.Type, l.Key)
	case l.Key != e.Subject:
		return Letter{}, fmt.Errorf("%s of %s: its subject is %.100q", e.Type, l.Key, e.Subject)
	}
	return l, nil
}

// isUUID reports whether a text is a UUID of the usual form.
func isUUID(text string) bool { return len(text) == 36 && uuid.Validate(text) == nil }

// sourceOf parts the source of an event, and reports whether it is one of hosho's.
func sourceOf(source string) (side Side, database string, ours bool) {
	rest, ours := strings.CutPrefix(source, sourcePrefix)
	said, database, _ := strings.Cut(rest, ":")
	return Side(said), database, ours
}

func keyIn(m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetOrderId() string }:
		return m.GetOrderId()
	case interface{ GetPaymentId() string }:
		return m.GetPaymentId()
	}
	return ""
}

func sendIn(m proto.Message) int32 {
	if m, ok := m.(interface{ GetSend() int32 }); ok {
		return m.GetSend()
	}
	return 0
}
