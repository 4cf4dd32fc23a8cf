package connect_test

import (
	"context"
	"testing"
	"time"

	"hosho/internal/broker"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
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
		for ctx := bound(t); ; time.Sleep(broker.KeepFor) {
			err := c.Publish(ctx, after)[0]
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			after[0].Send++
		}
		missing := byID(append(before[1:], after...))
		for len(missing) > 0 {
			for _, e := range takeAll(t, s, 1) {
				delete(missing, e.ID)
			}
		}
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
		for ctx := bound(t); c.Publish(ctx, after)[0] != nil; time.Sleep(broker.KeepFor) {
			if ctx.Err() != nil {
				t.Fatal("nothing is confirmed after it went on")
			}
			after[0].Send++
		}
		for missing := byID(after); len(missing) > 0; {
			for _, e := range takeAll(t, s, 1) {
				delete(missing, e.ID)
			}
		}
	})
}
