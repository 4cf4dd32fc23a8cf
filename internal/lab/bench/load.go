package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hosho/internal/wait"
)

// Load is what was measured of one load, after it had warmed up.
type Load struct {
	Name    string  `json:"name,omitempty"`
	Mode    Mode    `json:"mode,omitempty"`
	Clients int     `json:"clients,omitempty"`
	Streams int     `json:"streams,omitempty"` // that the clients share, if that is their mode
	Relays  int     `json:"relays,omitempty"`
	Offered float64 `json:"offered_per_second,omitempty"`
	Seconds float64 `json:"seconds"`

	SagasPerSecond   float64            `json:"sagas_per_second"`
	CreatesPerSecond float64            `json:"creates_per_second"`
	LatencyMS        Latency            `json:"latency_ms"`
	CPU              map[string]float64 `json:"cpu_us_per_saga,omitempty"`
	CPUOfCall        map[string]float64 `json:"cpu_us_per_call,omitempty"` // where nobody learns of a saga's end
	WALBytes         float64            `json:"wal_bytes_per_saga"`
	Statements       map[string]float64 `json:"statements_per_saga,omitempty"`
	Repeats          map[string]int64   `json:"repeats,omitempty"` // tries that were made again, by the reason
	Unsent           int64              `json:"unsent,omitempty"`  // orders that were due and that nobody had time for

	Messages float64 `json:"messages_per_saga,omitempty"` // that a broker has confirmed

	Depths  []Depth `json:"backlog_over_time"`
	KeptUp  bool    `json:"relay_kept_up"`
	Drained float64 `json:"drained_in_seconds"` // after the last order
}

// Latency is how long callers waited, in milliseconds.
type Latency struct {
	Create  *Spread `json:"create,omitempty"`
	Settled *Spread `json:"settled,omitempty"` // from the same beginning
}

// Depth is how many commands were in the outbox.
type Depth struct {
	Second   float64 `json:"second"`
	Commands int64   `json:"commands"`
}

// spec says what load to put on the system. What it leaves out is as Config has it.
type spec struct {
	name     string
	mode     Mode
	clients  int
	relays   int
	rate     float64
	duration time.Duration
	// observe is called about every span of length every; it may be nil.
	observe func(ctx context.Context) error
	every   time.Duration
}

func (s *system) spec(name string) spec {
	return spec{
		name: name, mode: s.config.Mode, clients: s.config.Clients, relays: s.config.Relays, rate: s.config.Rate,
		duration: s.config.Duration,
	}
}

// How long a load warms up, and how long what is under way is waited for.
const (
	longestWarmUp = 5 * time.Second
	drainTime     = 10 * time.Minute
)

// streams returns how many streams the clients of a load share; 0: they make calls.
func (s *system) streams(p spec) int {
	if p.mode != Stream {
		return 0
	}
	return min(s.config.Streams, p.clients)
}

func warmUp(d time.Duration) time.Duration { return min(d/4, longestWarmUp) }

// load puts a load on the system, measures it, and waits until nothing is under way any more. When ctx ends it returns
// what was measured until then.
func (s *system) load(ctx context.Context, p spec) (Load, error) {
	if _, err := s.orders.Exec(ctx, `CHECKPOINT`); err != nil { // what was written before is no part of it
		return Load{}, err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	after, giveUp := context.WithCancel(ctx)
	defer giveUp()
	to := newRecorder(p.rate > 0)
	crowd := s.callers(after, p, to)
	defer crowd.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if p.rate > 0 {
			openLoop(working, after, crowd.clients, scheduleOf(time.Now(), p.rate), to.missed)
		} else {
			closedLoop(working, after, crowd.clients)
		}
	}()
	l, err := s.window(ctx, p, to)
	stop()
	giving := time.AfterFunc(callTimeout, giveUp)
	defer giving.Stop()
	<-done
	l.LatencyMS = Latency{to.create.spread(), to.settle.spread()}
	switch {
	case !p.mode.learns(): // nobody waited for the end
		l.LatencyMS.Settled = nil
	case p.mode == Wait: // nor was anybody told of the beginning
		l.LatencyMS.Create = nil
	}
	l.Unsent, l.Repeats = to.unsent.Load(), to.repetitions()
	l.KeptUp = l.keptUp()
	if err != nil || ctx.Err() != nil {
		return l, err
	}
	l.Drained, err = s.drain(ctx)
	s.sayLoad(l)
	return l, err
}

// window waits until the load has warmed up, and measures it for its time.
func (s *system) window(ctx context.Context, p spec, to *recorder) (Load, error) {
	l := Load{
		Name: p.name, Mode: p.mode, Clients: p.clients, Streams: s.streams(p), Relays: p.relays, Offered: p.rate,
		Depths: []Depth{},
	}
	s.tell(p.String())
	wait.For(ctx, warmUp(p.duration))
	from, err := s.read(ctx)
	if err != nil {
		return l, err
	}
	to.begin(from.at)
	l.Depths = append(l.Depths, Depth{0, from.backlog})
	err = s.look(ctx, p, to, from, &l)
	late := context.WithoutCancel(ctx) // what was measured until now counts
	end, endErr := s.read(late)
	if endErr != nil {
		return l, errors.Join(err, endErr)
	}
	to.end(end.at)
	creates, sagas := to.createN.Load(), to.sagasN.Load()
	if !p.mode.learns() {
		sagas = creates - (end.backlog - from.backlog)
		l.CPUOfCall = cpuOfEach(from, end, creates)
	}
	l.Seconds = end.at.Sub(from.at).Seconds()
	l.CreatesPerSecond, l.SagasPerSecond = float64(creates)/l.Seconds, float64(sagas)/l.Seconds
	l.Depths = append(l.Depths, Depth{l.Seconds, end.backlog})
	l.each(from, end, sagas)
	return l, err
}

// mostDepths is how often a load's backlog is looked at, evenly: more would say no more, and cost something. Where rows
// that are gone cannot be vacuumed to look takes seconds, and the memory of all: then it is a small part of the time.
const (
	mostDepths = 60
	depthShare = 1000
)

// look watches a load for its time.
func (s *system) look(ctx context.Context, p spec, to *recorder, from reading, l *Load) error {
	every := max(p.duration/mostDepths, time.Second)
	observed, depth, again := from.at, int64(0), from.at
	for end := from.at.Add(p.duration); ; {
		left := time.Until(end)
		if left <= 0 || !wait.For(ctx, min(every, left)) {
			return nil
		}
		if time.Until(end) <= 0 { // the last reading follows
			return nil
		}
		second := time.Since(from.at).Seconds()
		if looked := time.Now(); looked.After(again) {
			var err error
			if depth, err = s.depth(ctx); err != nil {
				return ignoreEnd(ctx, err)
			}
			again = time.Now().Add(depthShare * time.Since(looked))
			l.Depths = append(l.Depths, Depth{second, depth})
		}
		s.tick(fmt.Sprintf("%s: %.0f s, %.0f creates/s, %.0f sagas/s, %d commands wait", p.name, second,
			float64(to.createN.Load())/second, float64(to.sagasN.Load())/second, depth))
		if p.observe != nil && time.Since(observed) >= p.every {
			observed = time.Now()
			if err := p.observe(ctx); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
	}
}

// ignoreEnd returns no error where ctx has ended, which explains it.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// String tells what a load is.
func (p spec) String() string {
	if p.rate > 0 {
		return fmt.Sprintf("%s: %.0f orders/s are due, %d under way at most, for %v after %v of warming up",
			p.name, p.rate, p.clients, p.duration, warmUp(p.duration))
	}
	return fmt.Sprintf("%s: %d clients (%s), for %v after %v of warming up", p.name, p.clients, p.mode, p.duration,
		warmUp(p.duration))
}

const (
	growthShare = 0.02 // of the orders that were placed
	unsentShare = 0.01 // of those that were due
)

// keptUp reports whether as much was settled as was placed, but for what is always under way, and whether as much was
// placed as was due. A rate that was not kept up with says how long the backlog takes, and nothing of throughput.
func (l *Load) keptUp() bool {
	if len(l.Depths) < 2 {
		return false
	}
	grown := float64(l.Depths[len(l.Depths)-1].Commands - l.Depths[0].Commands)
	placed := l.CreatesPerSecond * l.Seconds
	return grown <= float64(l.Clients)+growthShare*placed && float64(l.Unsent) <= unsentShare*l.Offered*l.Seconds
}

// drain waits until nothing is under way any more, and returns how long that took.
func (s *system) drain(ctx context.Context) (seconds float64, err error) {
	const poll = 20 * time.Millisecond
	for began := time.Now(); time.Since(began) < drainTime; {
		depth, err := s.depth(ctx)
		if err != nil || depth <= s.resting {
			return time.Since(began).Seconds(), ignoreEnd(ctx, err)
		}
		s.tick(fmt.Sprintf("%d commands are left", depth))
		if !wait.For(ctx, poll) {
			return 0, nil
		}
	}
	return 0, fmt.Errorf("commands are left in the outbox after %v, want %d", drainTime, s.resting)
}

func (s *system) sayLoad(l Load) {
	text := fmt.Sprintf("%s: %.0f sagas/s, %.0f creates/s", l.Name, l.SagasPerSecond, l.CreatesPerSecond)
	if l.LatencyMS.Settled != nil {
		text += fmt.Sprintf(", settled p50 %.1f ms, p99 %.1f ms", l.LatencyMS.Settled.P50, l.LatencyMS.Settled.P99)
	}
	if !l.KeptUp {
		text += "; it was not kept up with"
	}
	s.tell(text)
}
