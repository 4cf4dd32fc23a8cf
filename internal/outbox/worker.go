package outbox

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"hosho/internal/batch"
	"hosho/internal/wait"
)

// Worker claims messages, has them delivered, and has what became of them settled. Any number may work on one outbox.
type Worker struct {
	config  Config
	queue   *Queue
	handler Handler
	log     *slog.Logger
	breaker *Breaker
	others  Workers // this one among them: they have the messages that a settling makes due

	wake    wait.Bell             // something may be due
	looked  wait.Bell             // somebody has looked for all, and there was nothing
	room    wait.Bell             // something left the hands of this worker
	reports *batch.Gather[Report] // to be settled
	keeping *keeping              // nil: this worker has no standing claim

	any        atomic.Bool               // something may be due, of what anybody may claim
	elsewhere  atomic.Pointer[time.Time] // when it may be, since another worker has not taken what was written for it
	complaints complaints
	counts     counts
	place      place                     // of the sweep; its own
	frontier   frontier                  // of the claims; theirs
	horizon    atomic.Pointer[time.Time] // where looks begin, by the database's clock; nil: at the beginning
	dear       time.Duration             // what a look at everything takes where not all are
	linger     time.Duration             // how long a wake-up waits at most for what is in flight
	due        time.Time                 // when something is due that waits, as far as the claiming knows; its own
	read       bool                      // the last pass was over what was written for this worker; likewise
	behind     atomic.Bool               // something is due that may lie behind the frontier
	unsure     atomic.Bool               // something may become due at a time that the claiming does not know
	resends    resends                   // of what was handed over

	mu       sync.Mutex
	budget   *budget
	inFlight int    // claimed and not yet settled
	alone    bool   // one of them is delivered alone
	lastCode string // what the latest delivery came to
}

// NewWorker makes a Worker; Run makes it work.
func NewWorker(config Config, queue *Queue, handler Handler, log *slog.Logger) *Worker {
	w := &Worker{
		config: config, queue: queue, handler: handler, log: log,
		breaker: NewBreaker(config.BreakerStreak, config.AmbiguousStreak),
		budget:  newBudget(time.Now()),
		wake:    wait.NewBell(),
		looked:  wait.NewBell(),
		room:    wait.NewBell(),
		reports: batch.NewGather[Report](),
	}
	w.others, w.linger, w.dear = Workers{w}, linger, dear
	if config.Wakes {
		w.keeping = newKeeping(queue)
	}
	if config.Breaker != nil {
		w.breaker.changed = func(open bool, code string) { config.Breaker(queue.kind, open, code) }
	}
	w.counts = config.Metrics.of(w)
	w.any.Store(true)
	return w
}

// held is how many messages are in the hands of this worker.
func (w *Worker) held() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(w.inFlight)
}

// Wake tells the worker that something may be due. It never blocks.
func (w *Worker) Wake() {
	w.any.Store(true)
	w.wake.Ring()
}

// hear is Wake for what was written with a standing claim. Where that is another worker's, this one only sees to it
// later that it was taken: nobody may be there any more.
func (w *Worker) hear(n news) {
	if w.keeping != nil && w.keeping.name == n.name {
		w.keeping.hear(n)
	} else {
		w.mind()
	}
	w.wake.Ring()
}

// Run works until ctx ends. Then it claims nothing more, waits for what is under way as long as a delivery may take,
// settles it, and returns; what is not settled by then is delivered again after its lease.
func (w *Worker) Run(ctx context.Context) { Workers{w}.Run(ctx) }

// run is Run beside others, and a look for all of them. It ends what is under way when looking has ended, too.
func (w *Worker) run(ctx context.Context, looking *sync.WaitGroup) {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var settling sync.WaitGroup
	settling.Go(func() { w.settleLoop(working) })
	if w.keeping != nil {
		settling.Go(func() { w.keepLoop(working) })
	}
	w.claimLoop(ctx, working)
	w.keeping.want(false)
	looking.Wait()
	w.drain()
	abandon()
	settling.Wait()
	w.leave()
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
