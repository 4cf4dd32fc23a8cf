// Package admission bounds the work that a server takes on, so that a call is done in time or refused at once.
//
// Its promise: a lane has no more calls at work than it has slots; those of a client are let in as they came, and
// clients take turns, so that none keeps another out by asking for more; nobody waits for a slot longer than 200 ms;
// and who would wait longer than about 40 ms is refused on arrival. So a server that is asked for four times what it
// can do does what it can, and its answers stay quick. Without a bound it would be at work on calls whose callers have
// gone.
//
// Lanes do not know of each other: each kind of call has slots of its own, and none keeps another from work.
package admission

import (
	"context"
	"sync"
	"time"
)

const (
	// longestPrediction is how long a call may have to wait, as it seems on its arrival. It is long enough for bursts,
	// and a queue that long keeps the slots busy.
	longestPrediction = 40 * time.Millisecond
	// longestWait is how long a call waits when the prediction was wrong. One may wait for as long in any case: where a
	// call takes long, the slots would be idle from each call's end to the next one's arrival.
	longestWait = 200 * time.Millisecond
	// longestTurn is how long the first call of a party may have to wait, as it seems, where another has several
	// waiting.
	longestTurn = 100 * time.Millisecond
	// firstGuess is how long a call is taken to be at work before one was.
	firstGuess = 5 * time.Millisecond
	// smoothing is the number of calls over which their time at work is averaged, as a moving average. One that hung
	// should not close the queue, and a database that has become slow should do so soon.
	smoothing = 32
)

// Lane admits the calls of one kind. The nil lane admits them all.
type Lane struct {
	name  string
	waits time.Duration // for a slot, at most; 0: nobody waits
	slots int

	mu      sync.Mutex
	busy    int           // slots that are taken
	queue   queue         // not empty only when all are taken
	mean    time.Duration // a call's time at work
	changed time.Time     // when a slot was last taken or left
	of      map[any]int   // slots that parties have, where nobody waits; else nil
}

// NewLane makes a lane with slots for so many calls at work at a time; one at least.
func NewLane(name string, slots int) *Lane {
	return &Lane{name: name, waits: longestWait, slots: max(slots, 1), mean: firstGuess}
}

// Impatient has nobody wait for a slot, and returns the lane. It is for work that is done many at a time: its slots are
// the queue, and predictions would be wrong by as much as lies between two batches.
func (l *Lane) Impatient() *Lane {
	l.waits, l.of = 0, map[any]int{}
	return l
}

// Resize gives the lane another number of slots; one at least. Whoever is at work stays so.
func (l *Lane) Resize(slots int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots = max(slots, 1)
	for now := time.Now(); l.busy < l.slots; l.busy++ {
		next := l.queue.pop()
		if next == nil {
			return
		}
		l.changed = now
		close(next.turn)
	}
}

// Full returns an *Overloaded if a call that came now would be refused. It holds no place and never blocks.
func (l *Lane) Full() error { return l.FullFor(nil) }

// FullFor is Full for a party's call.
func (l *Lane) FullFor(party any) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits == 0 && l.crammed(party) {
		return overloaded(l.name)
	}
	return l.full(time.Now(), party)
}

// Reserve takes a slot for a party's call that is on its way, where the lane has nobody wait (Impatient): so none is
// let in at the door that is refused when its request is there. Whoever got one calls leave, once. In any other lane
// Reserve is FullFor, and leave is nil.
func (l *Lane) Reserve(party any) (leave func(), err error) {
	if l == nil || l.waits > 0 {
		return nil, l.FullFor(party)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crammed(party) {
		return nil, overloaded(l.name)
	}
	now := time.Now()
	l.busy++
	l.changed = now
	l.of[party]++
	return func() {
		l.release(party)
		l.leave(now)
	}, nil
}

// crammed reports whether a lane in which nobody waits has no slot for a party's call. The last eighth is for those who
// have less than their share of the others.
func (l *Lane) crammed(party any) bool {
	parties, common := len(l.of), l.slots-l.slots/8
	if l.of[party] == 0 {
		parties++
	}
	return l.busy >= l.slots || l.busy >= common && l.of[party]*parties >= common
}

func (l *Lane) release(party any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[party]--; l.of[party] == 0 {
		delete(l.of, party)
	}
}

// Enter waits for a slot. Whoever got one calls leave, once, when its work is done. The error is an *Overloaded, or
// what ended ctx.
func (l *Lane) Enter(ctx context.Context) (leave func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	if l.waits == 0 {
		return l.enterAtOnce(ctx)
	}
	waiter, err := l.join(ctx)
	if err == nil && waiter != nil {
		err = l.await(ctx, waiter)
	}
	if err != nil {
		return nil, err
	}
	began := time.Now()
	return func() { l.leave(began) }, nil
}

func (l *Lane) enterAtOnce(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.Reserve(partyOf(ctx))
}

// full predicts the wait of a party's call that comes now. A slot that has not changed hands for long tells of calls
// that take at least so long, before one of them has ended.
func (l *Lane) full(now time.Time, party any) error {
	if l.busy < l.slots {
		return nil
	}
	takes := max(l.mean, now.Sub(l.changed))
	own, turns := l.queue.ahead(party)
	waits := takes * time.Duration(turns) / time.Duration(l.slots)
	switch {
	case waits <= longestPrediction,
		l.queue.waiting == 0 && waits <= longestWait,
		own == 0 && l.queue.crowded() && waits <= longestTurn:
		return nil
	}
	return overloaded(l.name)
}

// join takes a slot, or else a place in the queue.
func (l *Lane) join(ctx context.Context) (*waiter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	party := partyOf(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if err := l.full(now, party); err != nil {
		return nil, err
	}
	if l.busy < l.slots {
		l.busy++
		l.changed = now
		return nil, nil
	}
	return l.queue.push(party), nil
}

// await waits until a waiter's turn comes.
func (l *Lane) await(ctx context.Context, w *waiter) (err error) {
	timer := time.NewTimer(l.waits)
	defer timer.Stop()
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = overloaded(l.name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place == nil { // its turn came in the same moment: the slot is for the next
		l.pass(time.Now())
	} else {
		l.queue.remove(w)
	}
	return err
}

func (l *Lane) leave(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.mean += (now.Sub(began) - l.mean) / smoothing
	l.pass(now)
}

// pass gives a slot that was left to whose turn it is, unless there are too many by now.
func (l *Lane) pass(now time.Time) {
	l.changed = now
	if l.busy <= l.slots {
		if next := l.queue.pop(); next != nil {
			close(next.turn)
			return
		}
	}
	l.busy--
}
