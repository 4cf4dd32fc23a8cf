package connect_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/wait"
)

// holder is set for a process that fetches so many events and says how often they were given out before; then it waits
// for its end.
const holder = "HOSHO_TEST_HOLDER"

func TestMain(m *testing.M) {
	if os.Getenv(holder) == "" {
		brokertest.Main(m)
	}
	if err := hold(strings.Fields(os.Getenv(holder))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hold(args []string) error {
	flags := connect.Flags{BrokerURL: args[0], BrokerPrefix: args[1]}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	b, err := flags.Open("holder", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	subscription := b.Subscribe(broker.Orders(args[1]), broker.Paymentd)
	for n > 0 {
		batch, err := subscription.Fetch(context.Background(), n)
		if err != nil {
			wait.For(context.Background(), broker.KeepFor) // as whoever fetches does
			continue
		}
		n -= len(batch.Events)
	}
	fmt.Println("holds them")
	select {}
}

// diesHolding has a process fetch events of a prefix's orders, and kills it.
func (c *corner) diesHolding(t *testing.T, n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", holder, c.url, c.prefix, n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 1)); n == 0 {
		t.Fatalf("the holder ended: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}

// corner is topics of a test's own on a broker.
type corner struct {
	broker.Broker

	flags       connect.Flags
	url, prefix string
	plan        broker.Plan
}

// makeCorner declares a test's topics on the broker that all share.
func makeCorner(t *testing.T, kind string) *corner {
	t.Helper()
	return makeCornerOn(t, brokertest.Shared(t, kind))
}

func makeCornerOn(t *testing.T, server *brokers.Broker) *corner {
	t.Helper()
	return makeCornerAs(t, connect.Flags{BrokerURL: server.URL(), BrokerPrefix: "t" + uuid.NewString()[:8]})
}

// makeCornerAs declares topics as somebody.
func makeCornerAs(t *testing.T, flags connect.Flags) *corner {
	t.Helper()
	c := &corner{flags: flags, url: flags.BrokerURL, prefix: flags.BrokerPrefix}
	c.Broker = c.connect(t)
	var err error
	if c.plan, err = broker.PlanOf(c.prefix, broker.MinRetention, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Declare(bound(t), c.plan); err != nil {
		t.Fatal(err)
	}
	return c
}

// connect is another process.
func (c *corner) connect(t *testing.T) broker.Broker {
	t.Helper()
	b, err := c.flags.Open(t.Name(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (c *corner) orders() string { return broker.Orders(c.prefix) }

// subscribe takes part in the group of the orders.
func (c *corner) subscribe(b broker.Broker) broker.Subscription {
	return b.Subscribe(c.orders(), broker.Paymentd)
}

// events makes some.
func (c *corner) events(n int) []broker.Event {
	events := make([]broker.Event, n)
	for i := range events {
		key := uuid.NewString()
		events[i] = broker.Event{
			Topic: c.orders(), ID: key + "/placed", Source: "urn:hosho:orders:1", Type: "hosho.events.v1.OrderPlaced",
			Subject: key, Time: time.Now().UTC(), ContentType: "application/protobuf", Data: []byte{byte(i), 0, 0xff},
			Send: 1,
		}
		if i%2 == 0 {
			events[i].Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
	}
	return events
}

func (c *corner) publish(t *testing.T, events ...broker.Event) {
	t.Helper()
	for i, err := range c.Publish(bound(t), events) {
		if err != nil {
			t.Fatalf("event %d of %d: %v", i, len(events), err)
		}
	}
}

// bound is a context that ends before the test is given up.
func bound(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// take fetches one batch, whatever it takes.
func take(t *testing.T, from broker.Subscription, n int) broker.Batch {
	t.Helper()
	ctx := bound(t)
	for {
		batch, err := from.Fetch(ctx, n)
		if err == nil {
			if len(batch.Events) == 0 || len(batch.Events) > n {
				t.Fatalf("got %d events, want 1 to %d", len(batch.Events), n)
			}
			return batch
		}
		if !wait.For(ctx, broker.KeepFor) {
			t.Fatal(err)
		}
	}
}

// takeAll fetches so many events and has each be done. They are returned in the order of their ids' first arrival.
func takeAll(t *testing.T, from broker.Subscription, n int) []broker.Event {
	t.Helper()
	var all []broker.Event
	for len(all) < n {
		batch := take(t, from, n-len(all))
		all = append(all, batch.Events...)
		batch.Done(each(batch, true))
	}
	return all
}

func each(batch broker.Batch, ok bool) []bool {
	all := make([]bool, len(batch.Events))
	for i := range all {
		all[i] = ok
	}
	return all
}

// byID are events by their facts.
func byID(events []broker.Event) map[string]broker.Event {
	all := make(map[string]broker.Event, len(events))
	for _, e := range events {
		all[e.ID] = e
	}
	return all
}

// same compares what was fetched with what was published.
func same(t *testing.T, got, want []broker.Event) {
	t.Helper()
	published := byID(want)
	for id, e := range published {
		e.Send = 0 // is for the broker alone
		published[id] = e
	}
	diff := cmp.Diff(published, byID(got), cmpopts.IgnoreFields(broker.Event{}, "Came"))
	if diff != "" || len(got) != len(want) {
		t.Errorf("got %d of %d events; -want +got:\n%s", len(got), len(want), diff)
	}
}
