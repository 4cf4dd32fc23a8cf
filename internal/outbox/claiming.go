package outbox

import (
	"context"
	"time"

	"hosho/internal/failpoint"
)

// claimLoop claims and delivers until ctx ends. Deliveries go on in working.
func (w *Worker) claimLoop(ctx, working context.Context) {
	for ctx.Err() == nil {
		p := w.admit()
		if p.limit == 0 {
			w.idle(ctx, p.wait, w.room)
			continue
		}
		found, err := w.claimOnce(ctx, working, p)
		switch {
		case err != nil && ctx.Err() == nil:
			if w.complaints.news("claim", err, time.Now()) {
				w.log.Error("cannot claim", "error", err)
			}
			w.idle(ctx, w.config.PollInterval, nil)
		case err == nil && found == 0:
			w.idle(ctx, w.untilDue(ctx, p.alone), nil)
		}
	}
}

// permit says what a worker may claim now.
type permit struct {
	limit int           // messages
	alone int           // messages that must be delivered alone: none while there is one of them under way
	probe bool          // the breaker is open: one message in all
	wait  time.Duration // when limit is 0: before asking again, unless there is room earlier
}

func (w *Worker) admit() permit {
	w.mu.Lock()
	room := min(w.config.Batch, inFlightBatches*w.config.Batch-w.inFlight)
	alone := 1
	if w.alone {
		alone = 0
	}
	w.mu.Unlock()
	if room <= 0 {
		return permit{wait: w.config.PollInterval}
	}
	limit, probe, wait := w.breaker.Admit(room, time.Now())
	return permit{limit: limit, alone: alone, probe: probe, wait: wait}
}

// claimOnce makes one pass, and returns how many messages it found.
func (w *Worker) claimOnce(ctx, working context.Context, p permit) (int, error) {
	until := time.Now().Add(w.config.Lease)
	messages, err := w.claim(working, p)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	failpoint.Here(failpoint.RelayClaimed)
	if ctx.Err() != nil || w.breaker.Open() && !p.probe { // in the meantime: nothing was sent
		return 0, w.giveBack(working, messages)
	}
	w.deliver(working, messages, until)
	return len(messages), nil
}

// claim is not broken off when the worker is told to stop: it would not be known what was claimed, and those messages
// would wait for the end of their leases.
func (w *Worker) claim(working context.Context, p permit) ([]Message, error) {
	ctx, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	if !p.probe {
		return w.queue.Claim(ctx, p.limit, p.alone)
	}
	// One that was not tried yet is the better probe: those that were may be what fails, while the others would not.
	messages, err := w.queue.ClaimUntried(ctx, p.limit)
	if err != nil || len(messages) > 0 {
		return messages, err
	}
	messages, err = w.queue.Claim(ctx, p.limit, 0)
	if err != nil || len(messages) > 0 || p.alone == 0 {
		return messages, err
	}
	// In a long outage every message may have been claimed in vain so often that it must go alone. Then one of those
	// is the probe, or the breaker would stay open for ever.
	return w.queue.Claim(ctx, 0, p.alone)
}

func (w *Worker) giveBack(working context.Context, messages []Message) error {
	ctx, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	return w.queue.Release(ctx, messages)
}

// idle waits for a wake-up, for another signal, or for the time to pass.
func (w *Worker) idle(ctx context.Context, d time.Duration, other <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-other:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// minWait keeps a worker from spinning on a row that is due and that another worker has locked.
const minWait = 5 * time.Millisecond

// untilDue returns how long nothing is due, a poll interval at most.
func (w *Worker) untilDue(ctx context.Context, alone int) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	next, any, err := w.queue.NextDue(ctx, alone)
	poll := w.config.PollInterval
	if w.config.Poll != nil {
		poll = w.config.Poll(poll)
	}
	if err != nil || !any {
		return poll
	}
	return min(max(next, minWait), poll)
}
