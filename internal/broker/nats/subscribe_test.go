package nats

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hosho/internal/broker"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/wait"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// The server is killed, and has forgotten what was ordered of it. Whoever waits for that does not learn it from the
// heartbeats that he misses, which takes seconds, but from the connection.
func TestAnOrderEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t, brokers.NATS)
	b, err := Dial(broker.Config{Client: t.Name(), Addresses: []string{strings.TrimPrefix(server.URL(), "nats://")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	plan, err := broker.PlanOf("t", broker.MinRetention, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Declare(ctx, plan); err != nil {
		t.Fatal(err)
	}
	consumer, err := b.js.Consumer(ctx, streamOf(broker.Orders("t")), broker.Paymentd)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{b: b, life: ctx, consumer: consumer}
	for range 2 { // on the next connection as well
		first, err := s.order()
		if err != nil {
			t.Fatal(err)
		}
		server.Kill()
		for range first.Messages() {
			t.Error("got an event where there is none")
		}
		if err := first.Error(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the order to have ended with its connection", err)
		}
		first.cancel()
		if err := server.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		for b.away() != nil {
			if !wait.For(ctx, broker.KeepFor) {
				t.Fatal("the broker is back, and there is no connection")
			}
		}
	}
}
