package connect_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/wait"
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
				if !strings.HasSuffix(text, broker.CostOf(p.Topic)) {
					t.Errorf("%q: it does not say what that costs", text)
				}
			}
		}
	})
}

// What there is is told, and not what was asked for: one server is one, however often that is set up.
func TestWhatIsAskedForAndIsNotSoIsTold(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		more, err := broker.PlanOf(c.prefix, 2*broker.MinRetention, 3)
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string]func(context.Context, broker.Plan) ([]broker.Promise, error){
			"setup": c.Declare, "check": c.Check,
		} {
			promises, err := ask(bound(t), more)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range promises {
				said := strings.Join(append(p.Otherwise, p.Unsafe...), "\n")
				if !strings.Contains(said, "asked for replicas 3, has ") ||
					kind != connect.RabbitMQ && !strings.Contains(said, "one server has it") {
					t.Errorf("%s of %s: got %+v, want that 3 were asked for, and that one is there", name, p.Topic, p)
				}
			}
		}
		promises, err := c.Declare(bound(t), c.plan) // less than there is
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range promises {
			if said := strings.Join(p.Otherwise, "\n"); !strings.Contains(said, "asked for retention 1h0m0s, has ") {
				t.Errorf("%s: got %+v, want that 1h was asked for", p.Topic, p)
			}
		}
	})
}

// No server more comes of waiting: it is told at once.
func TestReplicasForWhichThereAreNoServersAreRefused(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		if kind == connect.RabbitMQ {
			t.Skip("which takes as many as there are")
		}
		c := makeCorner(t, kind)
		plan, err := broker.PlanOf("t"+uuid.NewString()[:8], broker.MinRetention, 3)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Declare(bound(t), plan)
		if _, ok := errors.AsType[*broker.Flaw](err); !ok || !strings.Contains(err.Error(), "--replicas") {
			t.Errorf("got %v, want a flaw that names --replicas", err)
		}
	})
}

// All that is missing is named at once, and the others are told all the same.
func TestAllTopicsThatAreMissingAreNamed(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		there := c.plan.Topics
		c.plan.Topics = []broker.Topic{{Name: c.prefix + ".a"}, there[0], {Name: c.prefix + ".b"}, there[1]}
		promises, err := c.Check(bound(t), c.plan)
		saysSetup(t, "check", err, c.prefix+".a")
		saysSetup(t, "check", err, c.prefix+".b")
		if len(promises) != 2 || promises[0].Topic != there[0].Name || promises[1].Topic != there[1].Name {
			t.Errorf("got %+v, want what %s and %s promise", promises, there[0].Name, there[1].Name)
		}
	})
}

func TestHowManyEventsWaitForAGroupIsTold(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		c.publish(t, c.events(3)...)
		for ctx := bound(t); ; {
			promises, err := c.Check(ctx, c.plan)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(promises[0].Facts, "group paymentd: 3 events wait") &&
				slices.Contains(promises[2].Facts, "group relay: 0 events wait") {
				break
			}
			if !wait.For(ctx, broker.KeepFor) { // RabbitMQ counts after a moment
				t.Fatalf("got %+v, want 3 events that wait for paymentd, and none for the relay", promises)
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
