package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config says how a worker goes about it. Every field is needed.
type Config struct {
	CallTimeout   time.Duration // within which Deliver reports
	SettleTimeout time.Duration // bounds one call of Settle, and any other use of the database
	Lease         time.Duration // how long a claim lasts; longer than the two together, or work is done twice
	Batch         int           // messages claimed at once, and settled at once
	PollInterval  time.Duration // how often to look when nothing woke the worker
	BreakerStreak int           // keys that fail in a row before the breaker opens
	Backoff       func(kind string) Backoff
	LongestDelay  time.Duration // no message waits longer than this for its next try
}

// Validate checks that the parts fit together. unsafeShortLease allows a lease that may end before its message is
// settled: that costs work and no correctness, and exists to prove just that.
func (c Config) Validate(unsafeShortLease bool) error {
	for name, d := range map[string]time.Duration{
		"call timeout": c.CallTimeout, "settle timeout": c.SettleTimeout, "lease": c.Lease, "poll interval": c.PollInterval,
		"longest delay": c.LongestDelay,
	} {
		if d <= 0 {
			return fmt.Errorf("%s: got %v, want more than 0", name, d)
		}
	}
	if c.Batch < 1 || c.Batch > MaxBatch {
		return fmt.Errorf("batch: got %d, want 1 to %d", c.Batch, MaxBatch)
	}
	if c.BreakerStreak < 1 {
		return fmt.Errorf("breaker streak: got %d, want at least 1", c.BreakerStreak)
	}
	if c.Backoff == nil {
		return errors.New("backoff: got none")
	}
	if c.Lease <= c.CallTimeout+c.SettleTimeout && !unsafeShortLease {
		return fmt.Errorf("lease: got %v, want more than call timeout + settle timeout = %v, or messages are delivered twice as a rule",
			c.Lease, c.CallTimeout+c.SettleTimeout)
	}
	return nil
}

// MaxBatch is the most messages that a worker claims at once.
const MaxBatch = 1000

// inFlightBatches bounds what a worker holds, so that a few batches of messages that hang do not stop the others.
const inFlightBatches = 4

// Worker claims messages, has them delivered, and has what became of them settled. Any number may work on one outbox.
type Worker struct {
	config  Config
	queue   *Queue
	handler Handler
	log     *slog.Logger
	breaker *Breaker

	wake chan struct{} // something may be due
	news chan struct{} // something is to be settled
	room chan struct{} // something left the hands of this worker

	mu       sync.Mutex
	budget   *budget
	inFlight int      // claimed and not yet settled
	alone    bool     // one of them is delivered alone
	reports  []Report // to be settled
}

// NewWorker makes a Worker; Run makes it work.
func NewWorker(config Config, queue *Queue, handler Handler, log *slog.Logger) *Worker {
	return &Worker{
		config: config, queue: queue, handler: handler, log: log,
		breaker: NewBreaker(config.BreakerStreak),
		budget:  newBudget(time.Now()),
		wake:    make(chan struct{}, 1),
		news:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
}

// Wake tells the worker that something may be due. It never blocks.
func (w *Worker) Wake() { signal(w.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. Then it claims nothing more, waits for what is under way as long as a delivery may take,
// settles it, and returns; what is not settled by then is delivered again after its lease.
func (w *Worker) Run(ctx context.Context) {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var claiming, settling sync.WaitGroup
	claiming.Go(func() { w.claimLoop(ctx, working) })
	claiming.Go(func() { w.sweepLoop(ctx) })
	settling.Go(func() { w.settleLoop(working) })
	claiming.Wait()
	w.drain()
	abandon()
	settling.Wait()
}

// drain waits until nothing is in flight, as long as a delivery and its settling may take.
func (w *Worker) drain() {
	timeout := time.NewTimer(w.config.CallTimeout + w.config.SettleTimeout)
	defer timeout.Stop()
	for {
		w.mu.Lock()
		left := w.inFlight
		w.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-w.room:
		case <-timeout.C:
			w.log.Warn("stopped with messages in flight: they are delivered again after their lease", "messages", left)
			return
		}
	}
}

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
			w.log.Error("cannot claim", "error", err)
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

// claimOnce makes one pass, and answers how many messages it found.
func (w *Worker) claimOnce(ctx, working context.Context, p permit) (int, error) {
	until := time.Now().Add(w.config.Lease)
	messages, err := w.claim(working, p)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	if ctx.Err() != nil { // told to stop in the meantime: nothing was sent
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
	messages, err := w.queue.Claim(ctx, p.limit, 0)
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

// untilDue answers how long nothing is due, a poll interval at most.
func (w *Worker) untilDue(ctx context.Context, alone int) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	next, any, err := w.queue.NextDue(ctx, alone)
	if err != nil || !any {
		return w.config.PollInterval
	}
	return min(max(next, minWait), w.config.PollInterval)
}

// sweepLoop gives up messages that are too late and that no claim finds: those that are parked, and all while the
// breaker is open.
func (w *Worker) sweepLoop(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("cannot look for expired messages", "error", err)
		}
		pause(ctx, w.config.PollInterval)
	}
}

// sweep makes one pass. Nobody leased what it finds: what cannot be settled in time is found again.
func (w *Worker) sweep(ctx context.Context) error {
	until := time.Now().Add(w.config.SettleTimeout)
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	messages, err := w.queue.Expired(bounded, w.config.Batch)
	if err != nil {
		return err
	}
	w.deliver(ctx, messages, until)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// deliver hands messages to the handler, and those that are too late straight to the settling.
func (w *Worker) deliver(ctx context.Context, messages []Message, until time.Time) {
	report := func(r Report) {
		r.until = until
		w.report(r)
	}
	var send, late []Message
	for _, m := range messages {
		if m.Expired {
			late = append(late, m)
		} else {
			send = append(send, m)
		}
	}
	w.mu.Lock()
	w.inFlight += len(messages)
	w.budget.earn(time.Now(), len(send))
	for _, m := range messages {
		w.alone = w.alone || m.Alone
	}
	w.mu.Unlock()
	for _, m := range late {
		report(Report{Message: m, Result: Expired, Code: "EXPIRED"})
	}
	if len(send) > 0 {
		w.handler.Deliver(ctx, send, report)
	}
}

// report works out what a report means for the worker, and puts it down to be settled.
func (w *Worker) report(r Report) {
	w.judge(&r)
	w.handler.Explain(r)
	w.mu.Lock()
	w.reports = append(w.reports, r)
	w.mu.Unlock()
	signal(w.news)
}

// judge feeds the breaker and decides when the message is tried again.
func (w *Worker) judge(r *Report) {
	now := time.Now()
	switch r.Result {
	case Decided:
		if w.breaker.Decided() {
			w.log.Info("the destination is back") // settling this report makes room, and wakes the claiming
		}
	case TimedOut, Blocked:
		// The breaker is asked before it is told, so that the message which opens it still spends its attempt.
		if r.Result == TimedOut && !w.breaker.Open() {
			r.Result = Ambiguous
		} else {
			r.Result = Blocked
		}
		if w.breaker.Failed(r.Message.Key, now) {
			w.log.Warn("the destination is down: one message a second probes it", "code", r.Code)
		}
	}
	r.Delay = w.delay(*r, now)
}

func (w *Worker) delay(r Report, now time.Time) time.Duration {
	if r.Immediate {
		return 0
	}
	delay := max(w.config.Backoff(r.Message.Kind).Delay(r.Message.Claims), r.RetryAfter)
	if r.Unanswered {
		w.mu.Lock()
		delay = max(delay, w.budget.reserve(now))
		w.mu.Unlock()
	}
	return min(delay, w.config.LongestDelay)
}
