package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/pgembed"
	"hosho/internal/wait"
)

// Faults of databases that have a synchronous standby each.
var standbyFaults = []fault{
	{
		name: "failover", says: "a primary is killed, and its synchronous standby takes over",
		targets: []string{ordersDB, paymentsDB},
		special: "it takes a standby for each database",
		lasts:   between(3*time.Second, 8*time.Second), run: failingOver,
	},
	{
		name: "standby-away", says: "the standby that each commit waits for is away",
		targets: []string{ordersDB, paymentsDB},
		special: "it takes a standby for each database",
		lasts:   between(2*time.Second, 10*time.Second), run: standbyAway,
	},
	{
		name: "standby-lost", says: "the standby is away, comes back when the primary is lost, and takes over",
		targets: []string{ordersDB, paymentsDB},
		special: "it takes a standby for each database",
		lasts:   between(5*time.Second, 8*time.Second), run: standbyLost,
	},
}

// needStandbys reports whether one of the faults is about a standby.
func needStandbys(faults []fault) bool {
	return slices.ContainsFunc(faults, func(f fault) bool {
		return slices.ContainsFunc(standbyFaults, func(s fault) bool { return s.name == f.name })
	})
}

// failingOver has one database after the other fail over. Nobody tells the daemons.
func failingOver(ctx context.Context, s *system, random *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	for {
		database := []string{stack.OrdersDatabase, stack.PaymentsDatabase}[random.IntN(2)]
		if database == stack.OrdersDatabase {
			s.Orders.Kill()
		} else {
			s.Payments.Kill()
		}
		s.crashes.Add(1)
		wait.For(ctx, span(random, 0, time.Second)) // until somebody notices
		if err := s.Failover(forever, database); err != nil {
			return err
		}
		wait.For(ctx, span(random, 0, 2*time.Second))
		if err := s.Rejoin(forever, database); err != nil {
			return err
		}
		if !wait.For(ctx, span(random, 200*time.Millisecond, 2*time.Second)) {
			return nil
		}
	}
}

// standbyAway leaves a primary without the standby that its commits wait for: none is answered until it is back.
func standbyAway(ctx context.Context, s *system, random *rand.Rand) error {
	away := []*pgembed.Server{s.OrdersStandby, s.PaymentsStandby}[random.IntN(2)]
	if err := s.crash(away); err != nil {
		return err
	}
	<-ctx.Done()
	return s.back(ctx, away)
}

// standbyLost promotes a standby that has missed the primary's last seconds. What the primary made visible in them, and
// had no right to, is lost.
func standbyLost(ctx context.Context, s *system, random *rand.Rand) error {
	database := []string{stack.OrdersDatabase, stack.PaymentsDatabase}[random.IntN(2)]
	primary, standby := s.Orders, s.OrdersStandby
	if database == stack.PaymentsDatabase {
		primary, standby = s.Payments, s.PaymentsStandby
	}
	if err := s.crash(standby); err != nil {
		return err
	}
	<-ctx.Done()
	forever := context.WithoutCancel(ctx)
	if err := s.crash(primary); err != nil {
		return err
	}
	if err := s.back(ctx, standby); err != nil {
		return err
	}
	if err := s.Failover(forever, database); err != nil {
		return err
	}
	return s.Rejoin(forever, database)
}
