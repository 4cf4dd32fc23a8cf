package main

import (
	"context"
	"errors"
	"fmt"

	"hosho/internal/card"
)

// maxAside bounds the hanging commands that streams have set aside, over all streams.
const maxAside = 10_000

var errNetworkBusy = fmt.Errorf("%d hanging charges are waited for already", maxAside)

// hang waits in the place of a card network that does not answer: it returns card.ErrNoAnswer at the caller's deadline,
// or after hangTimeout where that is sooner; otherwise the cause that ctx ends for.
func (s *server) hang(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.hangTimeout)
	defer cancel()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return card.ErrNoAnswer
}

// setAside lets hanging commands wait where they delay nobody, as many as there is room for.
func (c *conversation) setAside(hanging []command) {
	n := 0
	for n < len(hanging) && c.aside.TryAcquire(1) {
		n++
	}
	if n < len(hanging) {
		c.reply(refuse(hanging[n:], errNetworkBusy))
	}
	if n == 0 {
		return
	}
	c.running.Go(func() {
		defer c.aside.Release(int64(n))
		err := c.hang(c.going)
		if c.going.Err() == nil {
			c.reply(refuse(hanging[:n], err))
		}
	})
}
