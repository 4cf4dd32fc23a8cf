package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/lab/proxy"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

var linkFaults = []fault{
	{
		name: "net-latency", says: "calls to paymentd take about as long as relays wait", targets: []string{net},
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(payments, func(s *system, random *rand.Rand) proxy.Link {
			return proxy.Link{Latency: span(random, 0, s.pace.CallTimeout*3/4), Jitter: s.pace.CallTimeout / 4}
		}),
	},
	{
		name: "net-slow", says: "calls to paymentd take longer than relays wait", targets: []string{net, relays},
		lasts: between(6*time.Second, 12*time.Second), run: slowLink,
	},
	{
		name: "net-reset", says: "connections to paymentd break at random bytes", targets: []string{net},
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(payments, func(_ *system, random *rand.Rand) proxy.Link {
			return proxy.Link{ResetWithin: 2000 + random.IntN(100_000)}
		}),
	},
	{
		name: "net-loss", says: "packets to and from paymentd are lost", targets: []string{net},
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(payments, func(_ *system, random *rand.Rand) proxy.Link {
			return proxy.Link{Loss: 0.05 + 0.25*random.Float64()}
		}),
	},
	{
		name: "net-blackhole", says: "nothing passes between relays and paymentd", targets: []string{net}, weight: 2,
		lasts: leases(0.2, 2), run: linked(payments, fixed(proxy.Link{StallUp: true, StallDown: true})),
	},
	{
		name: "net-blackhole-up", says: "nothing reaches paymentd, and its replies pass", targets: []string{net},
		lasts: leases(0.2, 2), run: linked(payments, fixed(proxy.Link{StallUp: true})),
	},
	{
		name: "net-blackhole-down", says: "everything reaches paymentd, and its replies do not pass",
		targets: []string{net},
		lasts:   leases(0.2, 2), run: linked(payments, fixed(proxy.Link{StallDown: true})),
	},
	{
		name: "net-slow-close", says: "paymentd dies, and relays hear of it late", targets: []string{net, paymentd},
		lasts: between(3*time.Second, 8*time.Second), run: slowClose,
	},
	{
		name: "net-flap", says: "the links to paymentd come and go", targets: []string{net},
		lasts: between(2*time.Second, 8*time.Second), run: flapping(payments),
	},

	{
		name: "db-latency", says: "the databases are far away", targets: []string{dbNet},
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(databases, func(s *system, random *rand.Rand) proxy.Link {
			return proxy.Link{
				Latency: span(random, time.Millisecond, 50*time.Millisecond), Jitter: 20 * time.Millisecond,
			}
		}),
	},
	{
		name: "db-reset", says: "connections to the databases break at random bytes", targets: []string{dbNet},
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(databases, func(_ *system, random *rand.Rand) proxy.Link {
			return proxy.Link{ResetWithin: 2000 + random.IntN(100_000)}
		}),
	},
	{
		name: "db-blackhole", says: "nothing passes between a daemon and its database", targets: []string{dbNet},
		lasts: leases(0.1, 1), run: linkedOne(databases, proxy.Link{StallUp: true, StallDown: true}),
	},
	{
		name: "db-blackhole-down", says: "everything reaches a database, and its answers do not pass",
		targets: []string{dbNet},
		lasts:   leases(0.1, 1), run: linkedOne(databases, proxy.Link{StallDown: true}),
	},
	{
		name: "db-flap", says: "the links to the databases come and go", targets: []string{dbNet},
		lasts: between(2*time.Second, 6*time.Second), run: flapping(databases),
	},
	{
		name: "cut-commit", says: "connections break right before or right after a COMMIT went through",
		targets: []string{dbNet}, weight: 4,
		lasts: between(2*time.Second, 8*time.Second),
		run: linked(databases, func(_ *system, random *rand.Rand) proxy.Link {
			return proxy.Link{CutBeforeCommit: 0.05, CutAfterCommit: 0.05 + 0.1*random.Float64()}
		}),
	},
}

func payments(s *system) []*proxy.Proxy  { return s.toPaymentd }
func databases(s *system) []*proxy.Proxy { return s.toDatabases }

func fixed(link proxy.Link) func(*system, *rand.Rand) proxy.Link {
	return func(*system, *rand.Rand) proxy.Link { return link }
}

// linked makes all links of a kind bad in the same way.
func linked(
	of func(*system) []*proxy.Proxy, how func(*system, *rand.Rand) proxy.Link,
) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		for _, p := range of(s) {
			link := how(s, random)
			link.Seed = random.Uint64()
			p.Set(link)
			defer p.Set(proxy.Link{})
		}
		<-ctx.Done()
		return nil
	}
}

// linkedOne makes one of the links bad.
func linkedOne(of func(*system) []*proxy.Proxy, link proxy.Link) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		links := of(s)
		p := links[random.IntN(len(links))]
		p.Set(link)
		defer p.Set(proxy.Link{})
		<-ctx.Done()
		return nil
	}
}

// slowClose also sees to it that there are ends to be heard of.
func slowClose(ctx context.Context, s *system, random *rand.Rand) error {
	for _, p := range s.toPaymentd {
		p.Set(proxy.Link{SlowClose: s.pace.CallTimeout})
		defer p.Set(proxy.Link{})
	}
	for {
		s.kill(s.Paymentd)
		if err := s.Paymentd.Start(); err != nil {
			return err
		}
		if !wait.For(ctx, span(random, time.Second, 2*time.Second)) {
			return nil
		}
	}
}

func flapping(of func(*system) []*proxy.Proxy) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		for up := false; ; up = !up {
			for _, p := range of(s) {
				p.Set(proxy.Link{Refuse: !up})
				if !up {
					p.Reset()
				}
			}
			if wait.For(ctx, span(random, 50*time.Millisecond, 700*time.Millisecond)) {
				continue
			}
			for _, p := range of(s) {
				p.Set(proxy.Link{})
			}
			return nil
		}
	}
}

// slowRoundTrip is how long a round trip takes, in the time that relays wait for a call.
const slowRoundTrip = 1.1

// slowTrips is how many round trips an order may take: the relay asks who paymentd is, opens a stream, and sends the
// charge. A silence costs it another one, and there is always some under way.
const slowTrips = 6

// slowLink has every answer come after its time, from the first on that a relay asks for. It is an answer all the same.
func slowLink(ctx context.Context, s *system, _ *rand.Rand) error {
	trip := time.Duration(slowRoundTrip * float64(s.pace.CallTimeout))
	forever := context.WithoutCancel(ctx)
	for _, p := range s.toPaymentd {
		p.Set(proxy.Link{Latency: trip / 2})
		defer p.Set(proxy.Link{})
	}
	if err := s.restartRelays(); err != nil {
		return err
	}
	began, err := s.now(forever)
	if err != nil {
		return err
	}
	<-ctx.Done()
	if !s.alone {
		return nil
	}
	return s.judgeSlow(forever, began, slowTrips*trip)
}

// judgeSlow looks what became of the ordinary orders that had so much time since the link is slow.
func (s *system) judgeSlow(ctx context.Context, began time.Time, took time.Duration) error {
	var all, open, given int
	err := s.orders.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE status = 'PENDING'),
			count(*) FILTER (WHERE cancel_reason IN ('PAYMENT_FAILED', 'DEADLINE'))
		FROM orders
		WHERE created_at BETWEEN $1 AND clock_timestamp() - $2::interval AND amount_minor <= $3`,
		began, took, load.MostAmount).Scan(&all, &open, &given)
	if err != nil {
		return fmt.Errorf("look at orders over a slow link: %w", err)
	}
	s.tell("  net-slow: of %d orders that were %s old, %d were open and %d given up", all, ms(took), open, given)
	if all > 0 && (open > 0 || given > 0) {
		s.blame(Violation{rules.Steady, fmt.Sprintf("over a link slower than a call may be, of %d orders %d are "+
			"PENDING after %s and %d are given up", all, open, ms(took), given)})
	}
	return nil
}
