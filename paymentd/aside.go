package main

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"hosho/internal/card"
)

// maxAside bounds the charges that are set aside, over all streams and calls.
const maxAside = 10_000

var errNetworkBusy = fmt.Errorf("%d charges wait for the card network already", maxAside)

// aside is the charges that the card network has not answered at once. Where there is no place for one more, the one
// that has waited longest gives up its own: what the network is going to answer has waited less, so that charges that
// hang put no other out, however many they are.
type aside struct {
	most int

	mu    sync.Mutex
	queue list.List // of *call, by the time that they came
}

func newAside(most int) *aside { return &aside{most: most} }

// enter gives a charge a place.
func (a *aside) enter(k *call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k.left {
		return
	}
	k.place = a.queue.PushBack(k)
	if a.queue.Len() > a.most {
		longest := a.queue.Front().Value.(*call)
		a.remove(longest)
		longest.end(errNetworkBusy)
	}
}

// leave gives the place back, when the network asks for nothing more.
func (a *aside) leave(k *call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k.left = true
	a.remove(k)
}

func (a *aside) remove(k *call) {
	if k.place != nil {
		a.queue.Remove(k.place)
		k.place = nil
	}
}

// await answers each charge that the network left without an answer, as soon as it has one, and all others when their
// time is over. It returns the cause when going ends before that: what hangs is then abandoned. Nothing that delays
// others is held meanwhile.
func (s *server) await(ctx, going context.Context, w work, a *asked) error {
	defer a.end()
	over := time.NewTimer(time.Until(a.deadline))
	defer over.Stop()
	var writing sync.WaitGroup
	defer writing.Wait()
	written := make(chan struct{}, 2) // one at a time, and the last one when the time is over
	write := func() {
		answered := a.take()
		writing.Go(func() {
			s.decideLate(ctx, w, a, answered)
			written <- struct{}{}
		})
	}
	news := a.verdicts.News()
	for a.silent > 0 {
		select {
		case <-news:
			news = nil // one is written at a time: what comes meanwhile is written together
			write()
		case <-written:
			news = a.verdicts.News()
		case <-over.C:
			write()
			if silent := a.rest(); len(silent) > 0 {
				w.reply(refuse(silent, card.ErrNoAnswer))
			}
		case <-going.Done():
			return context.Cause(going)
		}
	}
	return nil
}
