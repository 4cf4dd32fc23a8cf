package envelope_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	eventsv1 "hosho/gen/events/v1"
	moneyv1 "hosho/gen/money/v1"
	"hosho/internal/broker"
	"hosho/internal/envelope"
)

const (
	topic    = "hosho.orders"
	database = "0191e0d0-7a30-7000-8000-000000000001"
	order    = "0191e0d0-7a30-7000-8000-0000000000aa"
)

func placed() envelope.Letter {
	return envelope.Letter{
		Side: envelope.Orders, Database: database, Key: order, Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Send: 3,
		Message: &eventsv1.OrderPlaced{
			OrderId: order, CustomerId: "ada", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1200}, Send: 3,
		},
	}
}

func seal(t *testing.T, l envelope.Letter) broker.Event {
	t.Helper()
	e, err := envelope.Seal(topic, l)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// over is an event as it comes from a broker.
func over(e broker.Event) broker.Event {
	got := broker.Event{Topic: e.Topic, ContentType: e.ContentType, Data: e.Data}
	got.SetHeaders("ce_", e.Headers("ce_"))
	return got
}

func TestALetterComesOutAsItWentIn(t *testing.T) {
	want := placed()
	got, err := envelope.Open(envelope.Orders, over(seal(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
}

func TestAResendIsTheSameFact(t *testing.T) {
	first, second := placed(), placed()
	second.Send, second.Message.(*eventsv1.OrderPlaced).Send = 4, 4
	a, b := seal(t, first), seal(t, second)
	if a.ID != b.ID {
		t.Errorf("ids: got %s and %s, want one", a.ID, b.ID)
	}
	if a.Dedupe() == b.Dedupe() {
		t.Errorf("a broker that drops duplicates drops the resend: both are %s", a.Dedupe())
	}
}

func TestEachRefusalIsAFactOfItsOwn(t *testing.T) {
	refused := func(c eventsv1.PaymentRefused_Command, send int32) broker.Event {
		return seal(t, envelope.Letter{
			Side: envelope.Payments, Database: database, Key: order, Send: send,
			Message: &eventsv1.PaymentRefused{PaymentId: order, Command: c, Send: send},
		})
	}
	ids := map[string]bool{
		refused(eventsv1.PaymentRefused_COMMAND_CHARGE, 1).ID: true,
		refused(eventsv1.PaymentRefused_COMMAND_CHARGE, 2).ID: true,
		refused(eventsv1.PaymentRefused_COMMAND_VOID, 1).ID:   true,
	}
	if len(ids) != 3 {
		t.Errorf("ids: got %v, want 3", ids)
	}
}

func TestWhatCannotBeReadSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*broker.Event)
		want  string
	}{
		"an unknown type":     {func(e *broker.Event) { e.Type = "events.v1.OrderSent" }, "not known"},
		"the other side's":    {func(e *broker.Event) { e.Type = "events.v1.PaymentVoided" }, "on a topic of orders"},
		"damaged data":        {func(e *broker.Event) { e.Data = []byte{0xff} }, "decode"},
		"no data":             {func(e *broker.Event) { e.Data = nil }, "no UUID"},
		"another's subject":   {func(e *broker.Event) { e.Subject = database }, "subject"},
		"a nameless database": {func(e *broker.Event) { e.Source = "urn:hosho:orders:x" }, "no UUID"},
		"no headers": {
			func(e *broker.Event) { e.SetHeaders("ce_", nil) },
			"no CloudEvent: header ce_specversion: missing; header ce_id: missing; ",
		},
		"a later version": {func(e *broker.Event) {
			e.SetHeaders("", []broker.Header{{Name: "specversion", Value: "2.0"}})
		}, "want 1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			e := seal(t, placed())
			c.spoil(&e)
			_, err := envelope.Open(envelope.Orders, e)
			if err == nil || errors.Is(err, envelope.ErrForeign) || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want an error with %q, in one line", err, c.want)
			}
		})
	}
}

func TestWhatIsAnotherSystemsIsForeign(t *testing.T) {
	e := seal(t, placed())
	e.Source = "urn:shop:orders:1"
	if _, err := envelope.Open(envelope.Orders, e); !errors.Is(err, envelope.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

func TestNobodySaysWhatIsTheOthers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("payments said that an order was placed")
		}
	}()
	l := placed()
	l.Side = envelope.Payments
	_, _ = envelope.Seal(topic, l) // it panics
}
