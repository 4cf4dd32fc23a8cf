package main

import (
	"context"
	"sync"
	"time"

	"hosho/internal/batch"
	"hosho/internal/crew"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
)

const (
	// mostTogether is how many commands a statement decides, unless one request has more.
	mostTogether = maxCommands
	// inTurn is how many statements of a kind are under way at a time, but for those that are overdue. With more, each
	// decides fewer commands, and costs nearly the same.
	inTurn = 1
	// overdue is when a statement stops the next one no more.
	overdue = 100 * time.Millisecond
	// tries is how often pg tries what waits for a lock in vain.
	tries = 3
	// shortWait is how long a statement waits for a key that somebody holds, each time, and shortestWait how long it
	// does when it is known that somebody holds one.
	shortWait, shortestWait = overdue / tries, 5 * time.Millisecond
	// mostCollisions is how often the commands of a statement are divided because of keys that others hold. One among a
	// thousand takes ten times; where it is more, the table is locked, or most of its keys are.
	mostCollisions = 32
)

// teller decides what several requests ask for, together: what comes while a statement is under way forms the next one.
// So statements are few and large when there is much to do, and nothing waits when there is not. The commands are in
// the order in which they came: of a key that is given twice the first decides, whoever sent it.
//
// Each command has its own outcome. One that makes the statement fail is found by halves, and fails alone. One whose
// key somebody else holds goes alone, beside the others, and waits for as long as a lock is ever waited for.
type teller struct {
	do   func(ctx context.Context, lockWait time.Duration, commands []command) ([]paymentdb.Result, error)
	most int // how many statements are under way at a time, each with a connection

	mu      sync.Mutex
	waiting []*errand
	held    []place // of commands that are to go alone
	turns   int     // the statements under way that are not overdue
	alone   int     // those of one command whose key is held
	running int     // all of them
}

// errand is commands of one request that mean the same database.
type errand struct {
	commands []command
	told     *batch.Gather[told]
	over     func() // is called when the last of them is told, or when none will be

	left  int // how many are not told; these two are guarded by the teller's mu
	begun bool
}

// told is the answers to commands of an errand that stand next to each other.
type told struct {
	from    int
	answers []answer
}

// place is where a command stands.
type place struct {
	of *errand
	at int
}

// add has an errand done.
func (t *teller) add(e *errand) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.left = len(e.commands)
	t.waiting = append(t.waiting, e)
	t.start()
}

// drop tells nothing more to an errand that nobody waits for. It reports whether nothing of it was begun, nor will be.
func (t *teller) drop(e *errand) (undone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = without(t.waiting, func(w *errand) bool { return w == e })
	held := len(t.held)
	t.held = without(t.held, func(p place) bool { return p.of == e })
	if !e.begun {
		e.left = 0
		e.over()
		return true
	}
	if gone := held - len(t.held); gone > 0 {
		t.done(e, gone)
	}
	return false
}

// done counts commands of an errand that nothing more is done about. t.mu is held.
func (t *teller) done(e *errand, n int) {
	if e.left -= n; e.left == 0 {
		e.over()
	}
}

// start begins what may be begun. t.mu is held.
func (t *teller) start() {
	for len(t.held) > 0 && t.running < t.most && t.alone < max(t.most-1, 1) {
		p := t.held[0]
		t.held = t.held[1:]
		t.alone++
		t.running++
		go t.goAlone(p)
	}
	for len(t.waiting) > 0 && t.running < t.most && t.turns < inTurn {
		t.turns++
		t.running++
		taken := t.take()
		crew.Go(func() { t.goTogether(taken) })
	}
}

// take takes the errands for one statement: those of the first one's database, as many as it decides. t.mu is held.
func (t *teller) take() (taken []*errand) {
	n := 0
	meant := t.waiting[0].commands[0].meant
	t.waiting = without(t.waiting, func(e *errand) bool {
		if n < 0 || e.commands[0].meant != meant {
			return false
		}
		if n += len(e.commands); n > mostTogether && len(taken) > 0 {
			n = -1 // none that came later goes before it
			return false
		}
		e.begun = true
		taken = append(taken, e)
		return true
	})
	return taken
}

// without returns those items, in their order, of which gone does not say that they go.
func without[T any](items []T, gone func(T) bool) []T {
	var rest []T
	for _, item := range items {
		if !gone(item) {
			rest = append(rest, item)
		}
	}
	return rest
}

// goTogether decides errands by one statement. Where that takes long, it gives its turn away.
func (t *teller) goTogether(errands []*errand) {
	ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
	defer cancel()
	turn := true // guarded by mu
	giveTurn := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if turn {
			turn = false
			t.turns--
			t.start()
		}
	}
	late := time.AfterFunc(overdue, giveTurn)
	defer late.Stop()
	commands, places := together(errands)
	collisions := mostCollisions
	t.decide(ctx, commands, places, shortWait, &collisions)
	t.leave(func() {
		if turn {
			turn = false
			t.turns--
		}
	})
}

// together returns the commands of errands, and where each stands.
func together(errands []*errand) (commands []command, places []place) {
	n := 0
	for _, e := range errands {
		n += len(e.commands)
	}
	places = make([]place, 0, n)
	for _, e := range errands {
		for at := range e.commands {
			places = append(places, place{e, at})
		}
	}
	if len(errands) == 1 {
		return errands[0].commands, places
	}
	commands = make([]command, 0, n)
	for _, e := range errands {
		commands = append(commands, e.commands...)
	}
	return commands, places
}

// leave ends a statement, and begins the next.
func (t *teller) leave(count func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	count()
	t.start()
}

// goAlone decides a command whose key somebody held.
func (t *teller) goAlone(p place) {
	ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
	defer cancel()
	never := 0
	t.decide(ctx, p.of.commands[p.at:p.at+1], []place{p}, 0, &never)
	t.leave(func() { t.alone-- })
}

// decide decides commands at once, or by halves. Those of which others hold the keys are left to go alone, as long as
// collisions says that they may.
func (t *teller) decide(
	ctx context.Context, commands []command, places []place, lockWait time.Duration, collisions *int,
) {
	divides := func(err error) bool {
		if pg.Classify(err) != pg.Collision {
			return ofOneCommand(err)
		}
		lockWait = min(lockWait, shortestWait)
		*collisions--
		return *collisions >= 0
	}
	try := func(commands []command) ([]paymentdb.Result, error) {
		return guarded(ctx, commands, func(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
			return t.do(ctx, lockWait, commands)
		})
	}
	for part := range batch.Bisect(commands, try, divides) {
		n := len(part.Items)
		mine := places[:n]
		places = places[n:]
		switch {
		case part.Err == nil:
			t.tellResults(ctx, part.Items, mine, part.Result, lockWait, collisions)
		case n == 1 && lockWait > 0 && pg.Classify(part.Err) == pg.Collision:
			t.hold(mine[0])
		default:
			t.tell(mine, refuse(part.Items, part.Err))
		}
	}
}

// tellResults tells what became of commands. Those that failed beside others that did not are tried again without them.
func (t *teller) tellResults(
	ctx context.Context, commands []command, places []place, results []paymentdb.Result,
	lockWait time.Duration, collisions *int,
) {
	var failed []command
	var failedAt []place
	answers, doneAt := make([]answer, 0, len(results)), make([]place, 0, len(results))
	for i, r := range results {
		if r.Err != nil && !isDecided(r.Err) {
			failed, failedAt = append(failed, commands[i]), append(failedAt, places[i])
		} else {
			answers, doneAt = append(answers, answer{&commands[i], r.Payment, r.New, r.Err}), append(doneAt, places[i])
		}
	}
	if len(answers) == 0 {
		for i, r := range results {
			answers = append(answers, answer{command: &commands[i], err: r.Err})
		}
		failed, doneAt = nil, places
	}
	t.tell(doneAt, answers)
	if len(failed) > 0 {
		t.decide(ctx, failed, failedAt, lockWait, collisions)
	}
}

// hold has a command go alone.
func (t *teller) hold(p place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = append(t.held, p)
	t.start()
}

// tell tells the answers to those who wait for them.
func (t *teller) tell(places []place, answers []answer) {
	for len(places) > 0 {
		e, from, n := places[0].of, places[0].at, 1
		for n < len(places) && places[n] == (place{e, from + n}) {
			n++
		}
		e.told.Add(told{from, answers[:n:n]})
		places, answers = places[n:], answers[n:]
		t.mu.Lock()
		t.done(e, n)
		t.mu.Unlock()
	}
}
