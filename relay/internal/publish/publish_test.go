package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "hosho/gen/events/v1"
	"hosho/internal/broker"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/slow"
	"hosho/relay/internal/publish"
)

// Each command is handed over once, and its event has all that paymentd needs, and names both databases.
func TestACommandIsSaidAsAnEvent(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	charge, void := c.command(t, order.Charge), c.command(t, order.Void)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	charge.Traceparent, void.Sends = &trace, 6
	for key, r := range c.deliver(t, charge, void) {
		if r.Result != outbox.HandedOver || r.Code != "HANDED_OVER" {
			t.Errorf("%s: got %s, %s (%v), want it handed over", key, r.Result, r.Code, r.Body)
		}
	}
	amount := amountOf(tea)
	for _, l := range c.hear(t, 2) {
		want := proto.Message(&eventsv1.OrderPlaced{
			OrderId: charge.Key, CustomerId: tea.CustomerID, Amount: amount,
			DeadlineTime: timestamppb.New(tea.DeadlineAt), PaymentsDatabase: c.databases.Payments, Send: 1,
		})
		tracedAs := trace
		if l.Key == void.Key {
			want, tracedAs = &eventsv1.OrderCancelling{
				OrderId: void.Key, CustomerId: tea.CustomerID, Amount: amount,
				PaymentsDatabase: c.databases.Payments, Send: 7,
			}, ""
		}
		if diff := cmp.Diff(want, l.Message, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", l.Key, diff)
		}
		if l.Database != c.databases.Orders || l.Traceparent != tracedAs || time.Since(l.Time).Abs() > time.Minute {
			t.Errorf("%s: got database %s, trace %q, time %v; want database %s, trace %q, now",
				l.Key, l.Database, l.Traceparent, l.Time, c.databases.Orders, tracedAs)
		}
	}
}

// What is sent again is no duplicate to the broker, and is counted.
func TestAResendIsAnotherSendOfTheSameFact(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	m := c.command(t, order.Charge)
	for m.Sends = range 3 {
		c.deliver(t, m)
	}
	sends := map[int32]bool{}
	for _, l := range c.hear(t, 3) {
		sends[l.Message.(*eventsv1.OrderPlaced).GetSend()] = l.Key == m.Key
	}
	if want := map[int32]bool{1: true, 2: true, 3: true}; !cmp.Equal(sends, want) {
		t.Errorf("got the sends %v, want %v", sends, want)
	}
	want := strings.NewReader("# HELP hosho_relay_resent_total Commands that were handed over to the broker once " +
		"more, since nothing has come of them yet.\n# TYPE hosho_relay_resent_total counter\n" +
		"hosho_relay_resent_total{kind=\"CHARGE\"} 2\nhosho_relay_resent_total{kind=\"VOID\"} 0\n")
	if err := testutil.GatherAndCompare(c.registry, want, "hosho_relay_resent_total"); err != nil {
		t.Error(err)
	}
}

func TestACommandThatCannotBeReadIsNotPublishedAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	good, damaged := c.command(t, order.Charge), c.command(t, order.Charge)
	damaged.Payload = []byte{0xff}
	reports := c.deliver(t, damaged, good)
	if r := reports[damaged.Key]; r.Result != outbox.Unreadable || c.publisher.Method(r) != "" {
		t.Errorf("got %s by %q, want it unreadable, and not sent", r.Result, c.publisher.Method(r))
	}
	if r := reports[good.Key]; r.Result != outbox.HandedOver || c.publisher.Method(r) != "OrderPlaced" {
		t.Errorf("got %s by %q, want it handed over", r.Result, c.publisher.Method(r))
	}
	if l := c.hear(t, 1)[0]; l.Key != good.Key {
		t.Errorf("got an event of %s, want one of %s", l.Key, good.Key)
	}
	c.deliver(t, c.command(t, order.Void))
	if _, is := c.hear(t, 1)[0].Message.(*eventsv1.OrderCancelling); !is { // and nothing in between
		t.Error("got an event of what cannot be read")
	}
}

// Nobody knows whose commands they would be.
func TestNothingIsPublishedWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.identify = func(context.Context) (publish.Databases, error) {
		return publish.Databases{}, errors.New("the database is away")
	}
	m := c.command(t, order.Charge)
	r := c.deliver(t, m)[m.Key]
	if r.Result != outbox.Withheld || r.Code != "ORDER_UNREAD" || r.Body != "the database is away" ||
		c.publisher.Method(r) != "" {
		t.Errorf("got %s, %s (%v), want it withheld, and why", r.Result, r.Code, r.Body)
	}
	c.identify = nil
	other := c.command(t, order.Charge)
	c.deliver(t, other)
	if l := c.hear(t, 1)[0]; l.Key != other.Key {
		t.Errorf("got an event of %s, want the first to be of %s", l.Key, other.Key)
	}
}

// Whoever delivers has other things to do than to wait for the databases and the broker.
func TestDeliverWaitsForNobody(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	returned := make(chan struct{})
	c.identify = func(context.Context) (publish.Databases, error) {
		select {
		case <-returned:
		case <-bound(t).Done():
		}
		return c.databases, nil
	}
	reports := make(chan outbox.Report, 1)
	c.publisher.Deliver(t.Context(), []outbox.Message{c.command(t, order.Charge)}, func(r outbox.Report) {
		reports <- r
	})
	close(returned)
	if r := receive(t, reports); r.Result != outbox.HandedOver {
		t.Errorf("got %s, want it handed over", r.Result)
	}
}

func TestADatabaseThatDoesNotAnswerIsNotWaitedForLongerThanADeliveryMayTake(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.timeout = 10 * time.Millisecond
	c.open()
	c.identify = func(ctx context.Context) (publish.Databases, error) {
		<-ctx.Done()
		return publish.Databases{}, ctx.Err()
	}
	m := c.command(t, order.Charge)
	if r := c.deliver(t, m)[m.Key]; r.Result != outbox.Withheld {
		t.Errorf("got %s, want it withheld", r.Result)
	}
}

// It may be what kills whoever reads it: none shares its fate.
func TestWhatGoesAloneIsPublishedByItself(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	batches := make(chan int, 4)
	c.broker = counting{c.Broker, batches}
	c.open()
	alone := c.command(t, order.Charge)
	alone.Alone = true
	c.deliver(t, c.command(t, order.Charge), alone, c.command(t, order.Charge))
	got := []int{receive(t, batches), receive(t, batches)}
	slices.Sort(got)
	if want := []int{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got batches of %v, want %v", got, want)
	}
}

// A topic that is missing is no command's fault, and is told.
func TestATopicThatIsMissingBlocks(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.topic = "t" + uuid.NewString()[:8] + ".orders"
	c.open()
	m := c.command(t, order.Charge)
	r := c.deliver(t, m)[m.Key]
	if r.Result != outbox.Blocked || r.Code != "BROKER_UNAVAILABLE" ||
		!strings.Contains(fmt.Sprint(r.Body), "sagactl broker setup") {
		t.Errorf("got %s, %s (%v), want it blocked, and what to do", r.Result, r.Code, r.Body)
	}
}

// That a broker stands still, or is away, is no command's fault, and no outcome.
func TestABrokerThatDoesNotConfirmBlocks(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for confirmations that do not come")
	server := brokertest.Start(t, "nats")
	c := makeCornerOn(t, server)
	c.timeout = time.Second
	c.open()
	deliver := func() outbox.Report {
		m := c.command(t, order.Void)
		return c.deliver(t, m)[m.Key]
	}
	wants := func(r outbox.Report, code string) {
		t.Helper()
		if r.Result != outbox.Blocked || r.Code != code || r.Body == "" || c.publisher.Method(r) != "OrderCancelling" {
			t.Errorf("got %s, %s (%v), want it blocked with %s, and why", r.Result, r.Code, r.Body, code)
		}
	}
	server.Freeze()
	r := deliver()
	for r.Result == outbox.HandedOver { // the signal is on its way
		r = deliver()
	}
	wants(r, "NOT_CONFIRMED")
	server.Kill()
	r = deliver()
	for r.Code == "NOT_CONFIRMED" { // the client has not noticed yet
		r = deliver()
	}
	wants(r, "BROKER_UNAVAILABLE")
}

// Each event of a batch has its own fate. No broker can be made to refuse every second one, so this one is not real.
func TestEachCommandIsReportedAsItsOwnEventFared(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.broker = refusing{}
	c.open()
	messages := make([]outbox.Message, 6)
	for i := range messages {
		messages[i] = c.command(t, order.Charge)
	}
	reports := c.deliver(t, messages...)
	for i, m := range messages {
		want := []outbox.Report{
			{Result: outbox.HandedOver, Code: "HANDED_OVER"},
			{Result: outbox.Blocked, Code: "NOT_CONFIRMED"},
			{Result: outbox.Blocked, Code: "BROKER_UNAVAILABLE"},
		}[i%3]
		if r := reports[m.Key]; r.Result != want.Result || r.Code != want.Code || r.Message.Key != m.Key {
			t.Errorf("event %d: got %s, %s; want %s, %s", i, r.Result, r.Code, want.Result, want.Code)
		}
	}
}

// refusing confirms one event in three, has no time for the next, and no room for the last.
type refusing struct{ broker.Broker }

func (refusing) Publish(_ context.Context, events []broker.Event) []error {
	errs := make([]error, len(events))
	for i := range events {
		errs[i] = []error{nil, fmt.Errorf("not in time: %w", context.DeadlineExceeded), errors.New("no room")}[i%3]
	}
	return errs
}

// counting tells how many events were published together.
type counting struct {
	broker.Broker

	batches chan<- int
}

func (c counting) Publish(ctx context.Context, events []broker.Event) []error {
	c.batches <- len(events)
	return c.Broker.Publish(ctx, events)
}
