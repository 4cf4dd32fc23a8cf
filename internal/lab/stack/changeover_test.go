package stack_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Customers order and cancel while the relays are exchanged one after the other, from those over a broker to those that
// call and back. For a time both kinds work on one outbox. Whoever is exchanged is stopped, and the next time killed.
func TestTheWayIsChangedUnderLoad(t *testing.T) {
	t.Parallel()
	slow.Long(t, "exchanges the relays of a whole system: with one relay after the other, a test of its own has it")
	brokertest.Each(t, func(t *testing.T, kind string) {
		s := start(t, bin, 2, func(c *stack.Config) {
			c.Transport = kind
			c.Env = append(c.Env[:len(c.Env):len(c.Env)], "PAYMENTD_CARD_TIMEOUT=300ms")
		})
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		clients := load.New(load.Config{Orders: s.client, Clients: 8, Seed: seed, CancelWithin: 300 * time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var working sync.WaitGroup
		defer working.Wait()
		working.Go(func() { clients.Run(ctx, t.Context()) })
		s.eachSettles(t)
		for round := range 4 {
			for _, way := range []string{stack.Calls, kind} {
				for _, relay := range s.Relays {
					s.exchange(t, relay, way, round%2 == 1)
					s.eachSettles(t)
				}
			}
		}
		stop()
		working.Wait()
		s.await(t, "every order is settled", allSettled)

		report := s.agree(t, true)
		wrong, err := clients.Check(t.Context(), s.orders)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			t.Error(w)
		}
		s.noAlarms(t)
		both := s.count(t, wentBothWays)
		t.Logf("%d orders acknowledged, %d commands sent both ways; orders: %s; payments: %s", clients.Accepted(), both,
			invariant.Line(report.Orders), invariant.Line(report.Payments))
		if both == 0 {
			t.Error("no command was sent over the broker as well as by a call")
		}
		if report.Orders["COMPLETED"] == 0 || report.Orders["CANCELLED"] == 0 {
			t.Errorf("got orders %v, want some COMPLETED and some CANCELLED", report.Orders)
		}
	})
}

// wentBothWays counts the commands of which some attempts went over a broker, and others were calls.
const wentBothWays = `
	SELECT count(*)
	FROM (
		SELECT
		FROM attempts
		WHERE rpc IS NOT NULL
		GROUP BY order_id, command_id
		HAVING count(DISTINCT rpc IN ('OrderPlaced', 'OrderCancelling')) = 2
	) AS commands`

// exchange has a relay end, and start again with another way to paymentd.
func (s *system) exchange(t *testing.T, relay *stack.Process, way string, kill bool) {
	t.Helper()
	if kill {
		relay.Kill()
	} else if err := relay.Stop(); err != nil {
		t.Fatal(err)
	}
	var settings []string // its own are those of the broker
	if way == stack.Calls {
		settings = []string{"RELAY_TRANSPORT=" + way, "RELAY_BROKER_URL="}
	}
	if err := relay.Start(settings...); err != nil {
		t.Fatal(err)
	}
	if err := relay.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eachSettles waits until each relay has settled another order, whichever way it has.
func (s *system) eachSettles(t *testing.T) {
	t.Helper()
	settled := func(relay *stack.Process) int {
		log, err := os.ReadFile(relay.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(log, []byte(`"status":"COMPLETED","from":"PENDING"`))
	}
	var before []int
	for _, relay := range s.Relays {
		before = append(before, settled(relay))
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	over := time.After(time.Minute)
	for i, relay := range s.Relays {
		for settled(relay) == before[i] {
			select {
			case <-poll.C:
			case <-over:
				t.Fatalf("%s settles no more orders", relay.Name)
			}
		}
	}
}
