package main

import (
	"container/list"
	"context"
	"errors"
	"time"

	"hosho/internal/batch"
	"hosho/internal/card"
	"hosho/internal/payment"
)

// gatherTime is how long the charges of a batch wait for the card network's answers to each other, to be written
// together. What is answered later is written when it is.
const gatherTime = 10 * time.Millisecond

// asked is the charges of a batch that the network is asked about, each by itself: one without an answer delays no
// other. It is for one goroutine.
type asked struct {
	end      context.CancelFunc // ends what is still asked, and must be called
	deadline time.Time          // by then each is answered, by the network or for it
	answered []command          // those that were answered in place
	calls    []*call
	silent   int // how many of them have no answer
	verdicts *batch.Gather[verdict]
}

// call is one of them.
type call struct {
	command command
	end     context.CancelCauseFunc
	done    bool // it has an answer, or nobody waits for one

	place *list.Element // these two are for aside alone
	left  bool
}

// verdict is what a call came to.
type verdict struct {
	of   *call
	said payment.Verdict
	err  error
}

// ask begins to ask the network about charges. Their time runs since they arrived.
func (s *server) ask(ctx context.Context, arrived time.Time, charges []command) *asked {
	limit := s.cardTimeout
	if limit == 0 {
		limit = callTimeout
	}
	a := &asked{deadline: arrived.Add(limit), end: func() {}}
	if prompt, ok := s.network.(card.Prompt); ok {
		a.answered, charges = apart(charges, func(c *command) bool { return c.askNow(prompt) })
	}
	for _, c := range charges {
		if len(a.calls) == 0 {
			a.verdicts = batch.NewGather[verdict]()
			ctx, a.end = context.WithDeadline(ctx, a.deadline)
		}
		going, end := context.WithCancelCause(ctx)
		k := &call{command: c, end: end}
		k.command.asking = k
		a.silent++
		a.calls = append(a.calls, k)
		go func() {
			defer end(nil)
			defer s.aside.leave(k)
			a.verdicts.Add(s.authorise(going, k))
		}()
	}
	return a
}

// askNow asks a network that may answer in place, and reports whether it did.
func (c *command) askNow(network card.Prompt) (answered bool) {
	defer func() {
		if p := recover(); p != nil {
			c.doubt, answered = panicked(p), true
		}
	}()
	v, answered, err := network.AuthoriseNow(c.asked.Request)
	if answered {
		c.verdict, c.doubt = v, err
	}
	return answered
}

// authorise asks the network about one charge. When that panics nobody knows what the network did: it is an error like
// any other that is no answer, and this charge's alone.
func (s *server) authorise(ctx context.Context, k *call) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = verdict{of: k, err: panicked(p)}
		}
	}()
	said, err := s.network.Authorise(ctx, k.command.asked.Request)
	if err != nil && ctx.Err() != nil {
		err = unansweredFor(ctx)
	}
	return verdict{k, said, err}
}

// unansweredFor is why there is no answer when the context of a question has ended: the network's time is over, if
// there is no other cause.
func unansweredFor(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return card.ErrNoAnswer
}

// gather waits until all are answered, but no longer than they wait for each other, and returns the charges with what
// the network said, or with the call that it has not answered. Those of either kind are in their order.
func (a *asked) gather() []command {
	if len(a.calls) == 0 {
		return a.answered
	}
	enough := time.NewTimer(gatherTime)
	defer enough.Stop()
	for waiting := true; waiting && a.silent > 0; {
		select {
		case <-a.verdicts.News():
		case <-enough.C:
			waiting = false
		}
		a.take()
	}
	commands := a.answered
	for _, k := range a.calls {
		commands = append(commands, k.command)
	}
	return commands
}

// take returns the charges that were answered since.
func (a *asked) take() (answered []command) {
	for _, v := range a.verdicts.Take() {
		if v.of.done {
			continue
		}
		c := &v.of.command
		a.finish(*c)
		c.asking, c.verdict, c.doubt = nil, v.said, v.err
		answered = append(answered, *c)
	}
	return answered
}

// finish ends the asking about charges whose answers come from elsewhere.
func (a *asked) finish(commands ...command) {
	for _, c := range commands {
		if k := c.asking; k != nil && !k.done {
			k.done = true
			a.silent--
			k.end(nil)
		}
	}
}

// rest returns the charges that have no answer, and asks about them no more.
func (a *asked) rest() (silent []command) {
	for _, k := range a.calls {
		if !k.done {
			silent = append(silent, k.command)
		}
	}
	a.finish(silent...)
	return silent
}
