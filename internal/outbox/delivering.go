package outbox

import (
	"context"
	"slices"
	"time"

	"hosho/internal/failpoint"
)

// recall makes due what waits for a time that may be long in coming.
func (w *Worker) recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	n, err := w.queue.Recall(ctx, w.config.longestWait(), w.config.longestResent(), w.config.Batch)
	if err == nil && n > 0 {
		w.log.Warn("the database's clock was set back: messages that were to wait are due", "messages", n)
		w.behind.Store(true)
		w.Wake()
	}
	return err
}

// sweep makes one pass. Nobody leased what it finds: what cannot be settled in time is found again.
func (w *Worker) sweep(ctx context.Context) error {
	until := time.Now().Add(w.config.SettleTimeout)
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	from := w.place
	if from.ready.IsZero() {
		from.ready = w.beginning()
	}
	messages, next, err := w.queue.Expired(bounded, w.config.Batch, from)
	if err != nil {
		return err
	}
	w.place = next
	going, _ := w.handler.Check(bounded, messages) // what is kept back is nobody's, and stays as it is
	late := slices.DeleteFunc(going, func(m Message) bool { return !m.Expired })
	w.send(ctx, late, nil, until)
	return nil
}

// deliver has claimed messages checked, and sends what may go.
func (w *Worker) deliver(ctx context.Context, messages []Message, until time.Time) {
	bounded, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	going, kept := w.handler.Check(bounded, messages)
	w.send(ctx, going, kept, until)
}

// send hands messages to the handler, and those that are too late straight to the settling, as what was kept back.
func (w *Worker) send(ctx context.Context, messages []Message, kept []Report, until time.Time) {
	report := func(r Report) {
		r.until = until
		w.report(r)
	}
	var late []Message
	send := make([]Message, 0, len(messages))
	for _, m := range messages {
		if m.Expired {
			late = append(late, m)
		} else {
			send = append(send, m)
		}
	}
	w.mu.Lock()
	w.inFlight += len(messages) + len(kept)
	w.budget.earn(time.Now(), len(send))
	for _, m := range messages {
		w.alone = w.alone || m.Alone
	}
	for _, r := range kept {
		w.alone = w.alone || r.Message.Alone
	}
	w.mu.Unlock()
	for _, r := range kept {
		report(r)
	}
	for _, m := range late {
		report(Report{Message: m, Result: Expired, Code: "EXPIRED"})
	}
	if len(send) > 0 {
		w.counts.sent(send)
		w.handler.Deliver(ctx, send, report)
	}
}

// report works out what a report means for the worker, and puts it down to be settled.
func (w *Worker) report(r Report) {
	failpoint.Here(failpoint.RelayAnswered)
	w.judge(&r)
	w.counts.delivery(&r)
	w.handler.Explain(r)
	w.reports.Add(r)
}

// judge feeds the breaker and decides when the message is tried again.
func (w *Worker) judge(r *Report) {
	now := time.Now()
	w.mu.Lock()
	w.lastCode = r.Code
	w.mu.Unlock()
	switch r.Result {
	case Decided, HandedOver: // that a broker has it says that the broker is there
		if w.breaker.Decided() {
			w.log.Info("the destination is back") // settling this report makes room, and wakes the claiming
		}
	case Blocked:
		_, opened := w.breaker.Failed(r.Message.Key, r.Code, now)
		w.down(opened, *r)
	case TimedOut, Ambiguous:
		was, opened := w.breaker.Ambiguous(r.Message.Key, r.Code, now)
		// The message that opens it still spends its attempt.
		if was && (r.Result == TimedOut || w.config.AmbiguousStreak > 0) {
			r.Result = Blocked
		} else {
			r.Result = Ambiguous
		}
		w.down(opened, *r)
	}
	if r.Delay = w.delay(*r, now); r.Result != Decided && r.Result != HandedOver {
		w.breaker.Again(now.Add(r.Delay))
	}
}

func (w *Worker) down(opened bool, r Report) {
	if opened {
		w.keeping.want(false) // those that come now are better left unclaimed
		w.log.Warn("the destination is down: one message a second probes it", "code", r.Code)
	}
}

func (w *Worker) delay(r Report, now time.Time) time.Duration {
	switch {
	case r.Immediate:
		return 0
	case r.Result == HandedOver:
		return w.config.Resend(r.Message.Sends + 1)
	}
	delay := max(w.config.Backoff(r.Message.Kind).Delay(r.Message.Claims), r.RetryAfter)
	if r.Unanswered {
		w.mu.Lock()
		delay = max(delay, w.budget.reserve(now))
		w.mu.Unlock()
	}
	return min(delay, w.config.LongestDelay)
}
