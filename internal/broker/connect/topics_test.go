package connect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers/brokertest"
)

// An event that nobody gets is not delivered, whatever the broker makes of it.
func TestATopicThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(2)
		events[1].Topic = "t" + uuid.NewString()[:8] + ".orders"
		errs := c.Publish(bound(t), events)
		saysSetup(t, "publish", errs[1], events[1].Topic)

		_, err := c.connect(t).Subscribe(events[1].Topic, broker.Paymentd).Fetch(bound(t), 1)
		saysSetup(t, "fetch", err, events[1].Topic)

		plan, err := broker.PlanOf(strings.TrimSuffix(events[1].Topic, ".orders"), broker.MinRetention, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Check(bound(t), plan)
		saysSetup(t, "check", err, events[1].Topic)
	})
}

func saysSetup(t *testing.T, what string, err error, topic string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "sagactl broker setup") {
		t.Errorf("%s: got %v, want an error that names %s and sagactl broker setup", what, err, topic)
	}
}

// A broker may drop a send that it has. The next send of the same fact is none that it has.
func TestAnotherSendOfTheSameFactArrives(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		e := c.events(1)[0]
		again := e
		again.Send++
		c.publish(t, e)
		c.publish(t, again)
		for _, got := range takeAll(t, c.subscribe(c), 2) {
			if got.ID != e.ID {
				t.Errorf("got %s, want %s twice", got.ID, e.ID)
			}
		}
	})
}

func TestWhatATopicCanPromiseIsTold(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		declared, err := c.Declare(bound(t), c.plan) // again: what is there stays
		if err != nil {
			t.Fatal(err)
		}
		if len(declared) != len(c.plan.Topics) {
			t.Fatalf("got %d promises, want %d", len(declared), len(c.plan.Topics))
		}
		for i, p := range declared {
			t.Logf("%+v", p)
			if p.Topic != c.plan.Topics[i].Name || len(p.Facts) == 0 || len(p.Unsafe) == 0 {
				t.Errorf("got %+v, want facts about %s, and what is unsafe with one server", p, c.plan.Topics[i].Name)
			}
			for _, text := range p.Unsafe {
				if !strings.HasSuffix(text, ": costs a resend, never money") {
					t.Errorf("%q: it does not say what that costs", text)
				}
			}
		}
	})
}

// A virtual host that is not there is nothing that another password mends.
func TestAVirtualHostThatIsMissingIsOfTheURL(t *testing.T) {
	t.Parallel()
	if !slices.Contains(brokertest.Kinds(t), connect.RabbitMQ) {
		t.Skip("of RabbitMQ alone")
	}
	flags := connect.Flags{BrokerURL: brokertest.Shared(t, connect.RabbitMQ).URL() + "/nowhere", BrokerPrefix: "t"}
	const want = "has no virtual host nowhere, or not for this user"
	err := kept(t, flags, want)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "path of the broker URL") ||
		strings.Contains(err.Error(), "password") || !broker.IsDenied(err) {
		t.Errorf("got %v, want an error with %q that no time mends, and that is not about the password", err, want)
	}
}
