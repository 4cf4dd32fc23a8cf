package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"hosho/internal/broker"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// What brokers do, and those who are on them. The saga goes over one where the run has a transport.
var brokerFaults = []fault{
	{
		name: "broker-kill", says: "the broker is killed again and again", targets: []string{theBroker}, weight: 6,
		lasts: between(3*time.Second, 10*time.Second), run: killBroker,
	},
	{
		name: "broker-freeze", says: "the broker stands still (SIGSTOP)", targets: []string{theBroker}, weight: 2,
		lasts: between(2*time.Second, 8*time.Second), run: freezeBroker,
	},
	{
		name: "broker-wipe", says: "the broker loses all that it has, and is set up anew", targets: []string{theBroker},
		weight: 2, lasts: between(time.Second, 4*time.Second), run: wipeBroker,
	},
	{
		name: "broker-missing", says: "topics and queues are missing, until somebody sets them up",
		targets: []string{theBroker}, weight: 2, lasts: between(4*time.Second, 8*time.Second), run: missTopics,
	},
	{
		name: "broker-loss", says: "one in ten events that the broker has acknowledged is lost",
		targets: []string{theEvents}, weight: 6, lasts: between(3*time.Second, 10*time.Second), run: loseEvents,
	},
	{
		name: "broker-duplicates", says: "each event comes five times more, late and in any order",
		targets: []string{theEvents}, weight: 4, lasts: between(3*time.Second, 10*time.Second), run: repeatEvents,
	},
	{
		name: "broker-reorder", says: "half of the events come late, voids before their charges",
		targets: []string{theEvents}, weight: 4, lasts: between(3*time.Second, 10*time.Second), run: reorderEvents,
	},
	{
		name: "broker-poison", says: "events come that nobody can read", targets: []string{theEvents}, weight: 2,
		lasts: between(time.Second, 3*time.Second), run: poison,
	},
	{
		name: "broker-rebalance", says: "others join the consumers, take events, and leave without a word",
		targets: []string{theGroups}, weight: 4, lasts: between(3*time.Second, 10*time.Second), run: rebalance,
	},
	{
		name: "broker-lag", says: "paymentd takes no events for longer than the orders' deadline",
		targets: []string{orderd, paymentd, theGroups}, weight: 2,
		lasts: between(3*time.Second, 6*time.Second), run: lag,
	},
	{
		name: "broker-stranger", says: "a paymentd of another environment takes events, too",
		targets: []string{paymentsDB, theGroups}, weight: 2,
		lasts: between(3*time.Second, 8*time.Second), run: brokerStranger,
	},
}

// overBroker reports whether the saga goes over a broker.
func (c Config) overBroker() bool { return c.Transport != "" && c.Transport != stack.Calls }

// overBroker reports whether a fault is one of a broker's.
func (f fault) overBroker() bool {
	for _, target := range []string{theBroker, theEvents, theGroups} {
		if slices.Contains(f.targets, target) {
			return true
		}
	}
	return false
}

// overCalls reports whether a fault is one of the calls between relays and paymentd.
func (f fault) overCalls() bool {
	return !f.overBroker() && (slices.Contains(f.targets, peer) || f.certificates)
}

func killBroker(ctx context.Context, s *system, random *rand.Rand) error {
	for {
		s.Broker.Kill()
		s.kills.Add(1)
		wait.For(ctx, span(random, 0, 300*time.Millisecond))
		if err := s.Broker.Restart(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		if !wait.For(ctx, span(random, 100*time.Millisecond, 2*time.Second)) {
			return nil
		}
	}
}

func freezeBroker(ctx context.Context, s *system, _ *rand.Rand) error {
	s.Broker.Freeze()
	<-ctx.Done()
	s.Broker.Thaw()
	return nil
}

func wipeBroker(ctx context.Context, s *system, _ *rand.Rand) error {
	if err := s.Broker.Wipe(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	err := s.DeclareTopics(context.WithoutCancel(ctx))
	<-ctx.Done()
	return err
}

// rebalance joins the groups of the daemons, holds what it is given for a moment, and leaves without a word.
func rebalance(ctx context.Context, s *system, random *rand.Rand) error {
	for ctx.Err() == nil {
		client, plan, err := s.DialBroker()
		if err != nil {
			return err
		}
		during, leave := context.WithTimeout(ctx, span(random, 200*time.Millisecond, 1500*time.Millisecond))
		var joined sync.WaitGroup
		for _, topic := range plan.Topics {
			for _, group := range topic.Groups {
				from := client.Subscribe(topic.Name, group)
				joined.Go(func() {
					for during.Err() == nil {
						if _, err := from.Fetch(during, 50); err != nil { // and nothing is said about it
							wait.For(during, broker.KeepFor)
						}
					}
				})
			}
		}
		joined.Wait()
		leave()
		client.Close()
	}
	return nil
}

// lag has events wait until their orders are given up. What was charged late is given back, and what comes later finds
// a tombstone.
func lag(ctx context.Context, s *system, _ *rand.Rand) error {
	if err := s.restartOrderd("ORDERD_ORDER_DEADLINE=" + s.pace.ShortDeadline.String()); err != nil {
		return err
	}
	s.kill(s.Paymentd)
	<-ctx.Done()
	if err := s.Paymentd.Start(); err != nil {
		return err
	}
	return s.restartOrderd()
}

// brokerStranger starts a paymentd that has another database, on the same broker and in the same group. It must decide
// nothing.
func brokerStranger(ctx context.Context, s *system, _ *rand.Rand) error {
	s.logs.expectAlarms()
	stranger, err := s.startStranger(ctx, s.BrokerSettings("paymentd")...)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return s.stopStranger(context.WithoutCancel(ctx), stranger)
}
