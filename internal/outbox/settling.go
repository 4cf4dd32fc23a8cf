package outbox

import (
	"context"
	"slices"
	"time"

	"hosho/internal/pg"
)

const (
	laterPause  = 20 * time.Millisecond  // before a report is tried again whose thing somebody else was at
	outagePause = 200 * time.Millisecond // before reports are tried again that the database did not take
)

// settleLoop settles reports as they come, all that are there in one transaction, until ctx ends. Those that could not
// be settled join the next round, and hold up nobody in it.
func (w *Worker) settleLoop(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.news:
		case <-again:
		}
		again = nil
		for reports := range slices.Chunk(w.take(), w.config.Batch) {
			if w.settle(ctx, reports) {
				again = time.After(laterPause)
			}
		}
	}
}

func (w *Worker) take() []Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.reports
	w.reports = nil
	return taken
}

// settle settles reports, and reports whether some were put back because they cannot be settled now.
func (w *Worker) settle(ctx context.Context, reports []Report) (again bool) {
	bounded, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	settled, err := w.handler.Settle(bounded, reports)
	switch {
	case err == nil:
		w.done(reports, settled.Later)
		if settled.More {
			w.more()
		}
		return len(settled.Later) > 0
	case ctx.Err() != nil: // abandoned: nobody will settle them here
		return false
	case pg.Classify(err) != pg.Unexpected:
		w.log.Warn("cannot settle yet", "messages", len(reports), "error", err)
		w.done(reports, reports)
		pause(ctx, outagePause)
		return true
	case len(reports) > 1:
		// One of them is poison: it is halved out, and fails alone.
		half := len(reports) / 2
		first := w.settle(ctx, reports[:half])
		return w.settle(ctx, reports[half:]) || first
	default:
		w.log.Error("cannot settle: the message is delivered again after its lease",
			"key", reports[0].Message.Key, "error", err)
		w.done(reports, nil)
		return false
	}
}

// done notes that reports left the hands of this worker, but for those that are to be settled later. They stay as long
// as their leases last: after that another worker has the message.
func (w *Worker) done(reports, later []Report) {
	now := time.Now()
	var over []Report
	w.mu.Lock()
	was := w.alone
	w.inFlight -= len(reports)
	for _, r := range reports {
		w.alone = w.alone && !r.Message.Alone
	}
	for _, r := range later {
		if now.After(r.until) {
			over = append(over, r)
			continue
		}
		w.reports = append(w.reports, r)
		w.inFlight++
		w.alone = w.alone || r.Message.Alone
	}
	next := was && !w.alone
	w.mu.Unlock()
	signal(w.room)
	if next {
		w.Wake() // another message may be delivered alone now
	}
	if len(over) > 0 {
		w.log.Warn("not settled within the lease: delivered again", "messages", len(over), "key", over[0].Message.Key)
	}
}
