package connect_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hosho/internal/broker"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// Nothing is confirmed while it is away, and who asks is told so. What was confirmed before is there, and both ways are
// open again without anybody's help.
func TestABrokerThatIsKilledIsUsedAgain(t *testing.T) {
	t.Parallel()
	slow.Test(t, "kills brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		c := makeCornerOn(t, server)
		s := c.subscribe(c)
		before := c.events(3)
		c.publish(t, before[:1]...)
		same(t, takeAll(t, s, 1), before[:1])
		c.publish(t, before[1:]...)
		server.Kill()

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.Publish(ctx, c.events(1))[0]; err == nil {
			t.Error("a broker that is away confirmed an event")
		} else {
			t.Log("publish:", err)
		}
		if batch, err := s.Fetch(ctx, 1); err == nil {
			t.Errorf("got %d events of a broker that is away", len(batch.Events))
		} else {
			t.Log("fetch:", err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := c.events(1)
		c.publishInTheEnd(t, after[0])
		arrive(t, s, append(before[1:], after...))
	})
}

// publishInTheEnd sends an event until it is confirmed.
func (c *corner) publishInTheEnd(t *testing.T, e broker.Event) {
	t.Helper()
	for ctx := bound(t); ; {
		err := c.Publish(ctx, []broker.Event{e})[0]
		if err == nil {
			return
		}
		if !wait.For(ctx, broker.KeepFor) {
			t.Fatal(err)
		}
		e.Send++
	}
}

// arrive fetches until all events were there, some of them more than once.
func arrive(t *testing.T, from broker.Subscription, events []broker.Event) {
	t.Helper()
	for missing := byID(events); len(missing) > 0; {
		for _, e := range takeAll(t, from, 1) {
			delete(missing, e.ID)
		}
	}
}

// Nothing is left of a broker that was set up: who publishes and who fetches is told what is missing, and goes on when
// it is there again.
func TestABrokerThatIsWipedIsSetUpAgain(t *testing.T) {
	t.Parallel()
	slow.Test(t, "wipes brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		c := makeCornerOn(t, server)
		s := c.subscribe(c)
		c.publish(t, c.events(3)...)
		takeAll(t, s, 2)
		if err := server.Wipe(t.Context()); err != nil {
			t.Fatal(err)
		}
		for ctx := bound(t); ; {
			_, err := s.Fetch(ctx, 1)
			if err != nil && strings.Contains(err.Error(), "sagactl broker setup") {
				break
			}
			if !wait.For(ctx, broker.KeepFor) {
				t.Fatalf("got %v, want an error that names sagactl broker setup", err)
			}
		}
		if err := c.Publish(bound(t), c.events(1))[0]; err == nil {
			t.Error("got an event confirmed whose topic is gone")
		}
		for ctx := bound(t); ; {
			_, err := c.Declare(ctx, c.plan)
			if err == nil {
				break
			}
			if !wait.For(ctx, broker.KeepFor) {
				t.Fatal(err)
			}
		}
		after := c.events(1)
		c.publishInTheEnd(t, after[0])
		arrive(t, s, after)
	})
}

// A broker that is stopped keeps its connections. Nobody waits for it longer than a few seconds.
func TestABrokerThatIsFrozenIsNoticed(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for heartbeats that do not come")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		c := makeCornerOn(t, server)
		s := c.subscribe(c)
		c.publish(t, c.events(1)...)
		takeAll(t, s, 1)
		server.Freeze()
		defer server.Thaw()
		if _, err := s.Fetch(bound(t), 1); err == nil {
			t.Error("got events of a frozen broker")
		} else {
			t.Log("fetch:", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Publish(ctx, c.events(1))[0]; err == nil {
			t.Error("a frozen broker confirmed an event")
		} else {
			t.Log("publish:", err)
		}
		server.Thaw()
		after := c.events(1)
		c.publishInTheEnd(t, after[0])
		arrive(t, s, after)
	})
}
