package outbox

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hosho/internal/wait"
)

// lot is what a worker has read together of what was born with its standing claim.
type lot struct {
	ids   []int64
	until time.Time // when the lease ends that they have, by this process's clock
	held  bool      // it was prolonged
	left  int       // of them are in the worker's hands
}

// keeping is a worker's standing claim: whether it has one, what it was told of, and what it has read of that. One
// goroutine makes, renews and ends the claim, and holds on to what takes long.
type keeping struct {
	queue *Queue
	name  string // of the claim, in news

	missed  atomic.Bool // it may have messages that nobody told it of
	wanted  atomic.Bool // the worker can take new messages as they come
	changed wait.Bell   // wanted, or the claim was ended by somebody
	ended   atomic.Bool // it was
	stands  bool        // there is a claim, as far as is known; the keeping goroutine's own
	renewed time.Time   // when it was made or renewed last; likewise

	mu   sync.Mutex
	news []news
	lots []*lot // guarded by the worker's lock
}

// mostNews bounds what is remembered while the worker's hands are full. The oldest are forgotten first: by then their
// messages are another's.
const mostNews = 1000

// newKeeping returns nil for a queue that may have no standing claim.
func newKeeping(q *Queue) *keeping {
	if q == nil || q.token == nil {
		return nil
	}
	return &keeping{queue: q, name: nameOf(*q.token), changed: wait.NewBell()}
}

// want says whether the worker can take new messages as they come.
func (k *keeping) want(can bool) {
	if k != nil && k.wanted.Swap(can) != can {
		k.changed.Ring()
	}
}

// hear takes news of messages of this claim.
func (k *keeping) hear(n news) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.news = append(k.news, n); len(k.news) > mostNews {
		k.news = k.news[1:]
	}
}

// lookMissed has all messages of the claim looked for, since wake-ups may be lost.
func (k *keeping) lookMissed() {
	if k != nil {
		k.missed.Store(true)
	}
}

// lost takes the news that somebody has ended the claim.
func (k *keeping) lost() {
	k.ended.Store(true)
	k.changed.Ring()
}

// next returns the moments at which messages were written that may be read together, at most limit of them, but those
// of one moment in any case; how many they are, and whether there are others.
func (k *keeping) next(limit int) (moments []time.Time, n int, more bool) {
	if k == nil {
		return nil, 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for ; len(k.news) > 0; k.news = k.news[1:] {
		if n+k.news[0].n > limit && n > 0 {
			break
		}
		n += k.news[0].n
		if at := k.news[0].at; !slices.ContainsFunc(moments, at.Equal) {
			moments = append(moments, at)
		}
	}
	return moments, n, len(k.news) > 0
}

// moments returns when the messages were written that there are news of.
func (k *keeping) moments() []time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	moments := make([]time.Time, len(k.news)) // not nil: of NULL nothing can be told
	for i, about := range k.news {
		moments[i] = about.at
	}
	return moments
}

// any reports whether there is something to be read.
func (k *keeping) any() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.news) > 0 || k.missed.Load()
}

// inHand returns what was read and is not settled, and perhaps some of what is. Its caller has the worker's lock.
func (k *keeping) inHand() []int64 {
	ids := []int64{} // not nil: of NULL nothing can be told
	for _, l := range k.left() {
		ids = append(ids, l.ids...)
	}
	return ids
}

// left returns the lots of which something is in the worker's hands, and forgets the others, and those whose leases are
// over: what was given back is never settled. Its caller has the worker's lock.
func (k *keeping) left() []*lot {
	now := time.Now()
	k.lots = slices.DeleteFunc(k.lots, func(l *lot) bool { return l.left == 0 || l.held && now.After(l.until) })
	return k.lots
}

// keepLoop looks after the standing claim until ctx ends.
func (w *Worker) keepLoop(ctx context.Context) {
	tick := time.NewTicker(max(w.queue.born/4, time.Millisecond))
	defer tick.Stop()
	for {
		w.keep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.keeping.changed:
		}
	}
}

// keep has the claim be as it is to be, and holds on to what would be another's soon.
func (w *Worker) keep(ctx context.Context) {
	k := w.keeping
	ctx, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	wanted := k.wanted.Load() && w.config.woken()
	if k.ended.Swap(false) {
		k.stands = false
	}
	var err error
	switch now := time.Now(); {
	case wanted && (!k.stands || now.Sub(k.renewed) > standsFor/3):
		if err = k.queue.stand(ctx); err == nil {
			k.stands, k.renewed = true, now
		}
	case !wanted && k.stands:
		if err = k.queue.standDown(ctx); err == nil {
			k.stands = false
		}
	}
	if err != nil && ctx.Err() == nil && w.complaints.news("stand", err, time.Now()) {
		w.log.Warn("no standing claim: new messages are claimed one batch after the other", "error", err)
	}
	w.holdOn(ctx)
}

// holdOn prolongs the leases of what was read and is in flight for longer than usual.
func (w *Worker) holdOn(ctx context.Context) {
	k, now := w.keeping, time.Now()
	var ids []int64
	var late []*lot
	w.mu.Lock()
	for _, l := range k.left() {
		if !l.held && l.until.Sub(now) < k.queue.born/2 {
			ids, late = append(ids, l.ids...), append(late, l)
		}
	}
	w.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	if err := k.queue.hold(ctx, ids); err != nil {
		if ctx.Err() == nil && w.complaints.news("hold", err, time.Now()) {
			w.log.Warn("cannot hold on to messages: they may be delivered twice", "messages", len(ids), "error", err)
		}
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range late {
		l.until, l.held = now.Add(w.config.Lease), true
	}
}

// readBorn reads and delivers what was written for this worker, and reports whether it was told of any, and whether
// there are more than it could take.
func (w *Worker) readBorn(ctx, working context.Context, limit int) (told, more bool, err error) {
	moments, n, more := w.keeping.next(limit)
	if len(moments) == 0 {
		return false, false, nil
	}
	w.hush()
	asked := time.Now()
	bounded, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	found, err := w.queue.bornAt(bounded, moments)
	if err == nil {
		w.counts.claim(found, asked)
	}
	if len(found) < n {
		w.mind() // it is not told of them again, and came too late perhaps
	}
	if err == nil && len(found) > 0 {
		err = w.deliverBorn(ctx, working, found, asked)
	}
	return true, more, err
}

// deliverBorn delivers what was read at the time.
func (w *Worker) deliverBorn(ctx, working context.Context, found []claimed, asked time.Time) error {
	l := &lot{ids: make([]int64, len(found)), until: asked.Add(found[0].LeasedUntil.Sub(found[0].At)), left: len(found)}
	messages := messagesOf(found)
	for i := range messages {
		l.ids[i], messages[i].lot = messages[i].ID, l
	}
	w.mu.Lock()
	w.keeping.lots = append(w.keeping.lots, l)
	w.mu.Unlock()
	w.config.claimed(messages, asked)
	return w.deliverClaimed(ctx, working, messages, l.until, false)
}

// readMissed is readBorn for what the worker should have been told of by now. It is no part of what is in hand, nor of
// what there are news of.
func (w *Worker) readMissed(ctx, working context.Context) (found bool, err error) {
	if w.keeping == nil || !w.keeping.missed.Swap(false) {
		return false, nil
	}
	asked := time.Now()
	bounded, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	w.mu.Lock()
	inHand := w.keeping.inHand()
	w.mu.Unlock()
	missed, err := w.queue.bornBut(bounded, min(w.config.poll(), toldWithin), w.keeping.moments(), inHand)
	if err != nil || len(missed) == 0 {
		return false, err
	}
	w.counts.claim(missed, asked)
	return true, w.deliverBorn(ctx, working, missed, asked)
}

// toldWithin is how long news take at most, unless they are lost.
const toldWithin = 250 * time.Millisecond

// mind has the worker look for what is due when what is written now will be another's, if nobody takes it before.
func (w *Worker) mind() {
	at := time.Now().Add(bornFor(w.config.Lease))
	w.elsewhere.CompareAndSwap(nil, &at)
}

// leave ends the standing claim of a worker that has stopped, and gives back what was written for it. What it has in
// its hands stays what it is: it was sent.
func (w *Worker) leave() {
	if w.keeping == nil || w.keeping.renewed.IsZero() {
		return
	}
	end := w.keeping.queue.leave
	if w.inFlight > 0 {
		end = w.keeping.queue.standDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if err := end(ctx); err != nil {
		w.log.Warn("new messages of this worker wait for the end of their leases", "error", err)
	}
}

// leaveWithin bounds leave: what is not given back waits for seconds at most.
const leaveWithin = time.Second
