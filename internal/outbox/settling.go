package outbox

import (
	"context"
	"slices"
	"time"

	"hosho/internal/batch"
	"hosho/internal/pg"
	"hosho/internal/wait"
)

const (
	laterPause  = 20 * time.Millisecond  // before a report is tried again whose thing somebody else was at
	outagePause = 200 * time.Millisecond // before reports are tried again that the database did not take
)

// settleLoop settles reports as they come, all that are there in one transaction, until ctx ends. Those that could not
// be settled join the next round, and hold up nobody in it. While only late ones are left there is no hurry.
func (w *Worker) settleLoop(ctx context.Context) {
	var later []Report
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.reports.News():
		case <-again:
		}
		round := w.reports.Take()
		if len(later) > 0 {
			round = append(later, round...)
		}
		later, again = nil, nil
		for reports := range slices.Chunk(round, w.config.Batch) {
			later = append(later, w.settle(ctx, reports)...)
		}
		later = latest(later)
		switch {
		case slices.ContainsFunc(later, func(r Report) bool { return !r.Late }):
			again = time.After(laterPause)
		case len(later) > 0:
			again = time.After(outagePause)
		}
	}
}

// latest returns reports without the late ones that were followed by another late one on the same message: while its
// thing cannot be had, each new delivery brings one.
func latest(reports []Report) []Report {
	last := map[int64]int{}
	for i, r := range reports {
		if r.Late {
			last[r.Message.ID] = i
		}
	}
	var kept []Report
	for i, r := range reports {
		if !r.Late || last[r.Message.ID] == i {
			kept = append(kept, r)
		}
	}
	return kept
}

// settle settles reports, and returns those that cannot be settled now. One that is poison fails alone.
func (w *Worker) settle(ctx context.Context, reports []Report) (later []Report) {
	do := func(reports []Report) (Settled, error) {
		bounded, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
		defer cancel()
		began := time.Now()
		settled, err := w.handler.Settle(bounded, reports)
		if err == nil {
			w.counts.settle(len(reports)-len(settled.Later), began)
		}
		return settled, err
	}
	poison := func(err error) bool { return ctx.Err() == nil && pg.Classify(err) == pg.Unexpected }
	for part := range batch.Bisect(reports, do, poison) {
		switch err := part.Err; {
		case err == nil:
			later = append(later, w.done(part.Items, part.Result.Later)...)
			if w.resends.note(part.Items) {
				w.wake.Ring()
			}
			if part.Result.More {
				w.unsure.Store(true)
				w.others.Wake()
			}
		case ctx.Err() != nil: // abandoned: nobody will settle them here
		case poison(err):
			w.log.Error("cannot settle: the message is delivered again after its lease",
				"key", part.Items[0].Message.Key, "error", err)
			w.done(part.Items, nil)
		default:
			if w.complaints.news("settle", err, time.Now()) {
				w.log.Warn("cannot settle yet", "messages", len(part.Items), "error", err)
			}
			later = append(later, w.done(part.Items, part.Items)...)
			wait.For(ctx, outagePause)
		}
	}
	return later
}

// done notes that reports left the hands of this worker, but for those that are to be settled later, which it returns.
// They stay as long as their leases last: after that another worker has the message. But evidence has no age. A
// decision stays until it is settled, and only gives its room to others.
func (w *Worker) done(reports, later []Report) (kept []Report) {
	now := time.Now()
	var over []Report
	w.mu.Lock()
	was := w.alone
	for _, r := range reports {
		if !r.Late {
			w.inHand(-1, r.Message)
			w.alone = w.alone && !r.Message.Alone
		}
	}
	for _, r := range later {
		if !r.Late && now.After(r.end()) {
			over = append(over, r)
			r.Late = r.Result == Decided
			if !r.Late {
				continue
			}
		}
		kept = append(kept, r)
		if !r.Late {
			w.inHand(+1, r.Message)
			w.alone = w.alone || r.Message.Alone
		}
	}
	next := was && !w.alone
	w.mu.Unlock()
	w.room.Ring()
	if next {
		w.Wake() // another message may be delivered alone now
	}
	if len(over) > 0 {
		w.log.Warn("not settled within the lease: delivered again", "messages", len(over), "key", over[0].Message.Key)
	}
	return kept
}

// inHand counts a message that comes into the hands of this worker, or leaves them. Its caller has the lock.
func (w *Worker) inHand(n int, m Message) {
	w.inFlight += n
	if m.lot != nil {
		m.lot.left += n
	}
}
