package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/middleman"
)

var peerFaults = []fault{
	{
		name: "codes-before", says: "paymentd answers any code, and has done nothing", targets: []string{peer},
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.CodeBefore, Share: 0.3}),
	},
	{
		name: "codes-after", says: "paymentd answers any code, and has done it", targets: []string{peer}, weight: 2,
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.CodeAfter, Share: 0.3}),
	},
	{
		name: "only-codes", says: "paymentd answers nothing but codes, and has done it", targets: []string{peer},
		lasts: between(2*time.Second, 6*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.CodeAfter, Share: 1}),
	},
	{
		name: "lost-replies", says: "paymentd does it, and does not answer", targets: []string{peer},
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.LostReply, Share: 0.2}),
	},
	{
		name: "hang", says: "paymentd does not answer, and does nothing", targets: []string{peer},
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Silence, Share: 0.2}),
	},
	{
		name: "unknown-outcome", says: "paymentd answers a status that nobody knows", targets: []string{peer},
		lasts: between(2*time.Second, 6*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Unknown, Share: 0.3}),
	},
	{
		name: "wrong-echo", says: "paymentd answers for another amount, until an operator retries",
		targets: []string{peer},
		lasts:   between(2*time.Second, 5*time.Second), run: wrongEcho(middleman.WrongEcho),
	},
	{
		name:    "forged-echo",
		says:    "somebody answers in paymentd's place, for another amount, until an operator retries",
		targets: []string{peer},
		lasts:   between(2*time.Second, 5*time.Second), run: wrongEcho(middleman.ForgedEcho),
	},
	{
		name: "patience", says: "paymentd asks for patience", targets: []string{peer},
		lasts: between(2*time.Second, 6*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Overload, Share: 0.7}),
	},
	{
		name: "exhausted", says: "paymentd asks for patience, and nothing else", targets: []string{peer},
		lasts: between(2*time.Second, 6*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Overload, Share: 1}),
	},
	{
		name: "hold", says: "requests are held up to 5 s, and overtaken by voids", targets: []string{peer}, weight: 2,
		lasts: between(3*time.Second, 10*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Hold(5 * time.Second), Share: 0.3}),
	},
	{
		name: "duplicate", says: "requests arrive two to five times at once", targets: []string{peer},
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Repeat, Share: 0.5}),
	},
	{
		name: "replay", says: "requests arrive again after everything is over", targets: []string{peer}, weight: 2,
		lasts: between(2*time.Second, 8*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.Replay(10 * time.Second), Share: 0.3}),
	},
	{
		name: "no-voids", says: "every void fails, with any code", targets: []string{peer},
		lasts: between(3*time.Second, 10*time.Second),
		run:   playing(middleman.Behaviour{Trick: middleman.CodeBefore, Share: 1, Voids: true}),
	},
	{
		name: "slow-voids", says: "every void fails with INTERNAL, in its own time", targets: []string{peer},
		lasts: between(8*time.Second, 15*time.Second), run: slowVoids,
	},
}

// playing puts the middleman between the relays and paymentd, and has it misbehave.
func playing(b middleman.Behaviour) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, _ *rand.Rand) error {
		s.middle.Behave(b)
		s.redirect(s.middle.Address())
		<-ctx.Done()
		s.middle.Behave(middleman.Behaviour{})
		s.redirect(s.Paymentd.Address)
		return nil
	}
}

// slowVoids leaves relays with many voids in hand, and with many that wait.
func slowVoids(ctx context.Context, s *system, random *rand.Rand) error {
	late := middleman.Late(middleman.Fail, s.pace.CallTimeout*3/4)
	return playing(middleman.Behaviour{Trick: late, Share: 1, Voids: true})(ctx, s, random)
}

// redirect leads the relays to another payment service, from now on.
func (s *system) redirect(address string) {
	for _, p := range s.toPaymentd {
		p.Redirect(address)
		p.Reset()
	}
}

// wrongEcho has the relays believe that keys belong to other payments. They park what they cannot believe, and page: an
// operator then finds out that it was nonsense, and retries.
func wrongEcho(trick middleman.Trick) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		s.logs.expectAlarms()
		err := playing(middleman.Behaviour{Trick: trick, Share: 0.1})(ctx, s, random)
		s.owesRetries.Store(true)
		return err
	}
}

// retryParked does what an operator would, until nothing is parked any more. It reports whether it could: a relay may
// be down, or its database.
func (s *system) retryParked(ctx context.Context) bool {
	conn, err := s.Dial(s.Relays[0], "operator")
	if err != nil {
		return false
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	relay := relayv1.NewOutboxServiceClient(conn)
	request := &relayv1.ListParkedRequest{PageSize: 1000}
	parked := 0
	for {
		reply, err := relay.ListParked(ctx, request)
		if err != nil {
			return false
		}
		for _, c := range reply.GetCommands() {
			if c.GetParkTime() == nil {
				continue // it keeps trying by itself
			}
			parked++
			if _, err := relay.RetryParked(ctx, &relayv1.RetryParkedRequest{
				OrderId: c.GetOrderId(), Kind: c.GetKind(),
			}); err != nil {
				return false
			}
		}
		if request.PageToken = reply.GetNextPageToken(); request.GetPageToken() == "" {
			return parked == 0
		}
	}
}
