package console

import (
	"context"
	"sync"
	"time"

	"hosho/internal/console/board"
	"hosho/internal/follow"
	"hosho/internal/story"
)

// feed keeps a board up to date. It listens to what the daemons tell of themselves, which costs them no query, and asks
// them for what waits only while somebody looks.
type feed struct {
	daemons  []*followed
	audience *audience
	stage    *reader // nil: there is none

	mu    sync.Mutex
	board *board.Board
}

func newFeed(daemons []Daemon, stage *reader) *feed {
	f := &feed{board: board.New(time.Now()), audience: newAudience(), stage: stage}
	for _, d := range daemons {
		f.daemons = append(f.daemons, &followed{Daemon: d, state: unknown, been: time.Now()})
	}
	return f
}

// run listens until ctx ends.
func (f *feed) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range f.daemons {
		// What a payment came to may be told before the order was: it is in what the daemon has kept. Orders count
		// from now on.
		kept := d.Service != story.Orderd
		all.Go(func() {
			follow.Follow(ctx, d.Conn, kept, func(news follow.News) { f.hear(d, news) })
		})
	}
	all.Go(func() { f.poll(ctx) })
	all.Wait()
}

// hear takes in what a daemon tells.
func (f *feed) hear(d *followed, news follow.News) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if news.Err != nil {
		if d.lost == nil {
			d.since = now
		}
		d.lost = news.Err
		f.judge(now, d)
		return
	}
	d.lost, d.process, d.heard = nil, news.Process, now
	f.judge(now, d)
	switch {
	case news.Missed == follow.Unknown:
		f.board.Gap(now, board.Restart, d.Service, 0)
	case news.Missed > 0:
		f.board.Gap(now, board.Missed, d.Service, news.Missed)
	}
	if !d.told && d.late(news) && f.counting() {
		f.board.Gap(now, board.Missed, d.Service, news.Events[0].GetSequence()-1)
	}
	if !d.told {
		d.told, d.first = true, now
	}
	if now.Sub(d.first) < recalls {
		f.board.Recall(now, d.Service, d.Address, news.Events)
	} else {
		f.board.Tell(now, d.Service, d.Address, news.Events)
	}
}

// recalls is how long it takes a daemon to tell all that it has kept.
const recalls = time.Second

// late reports whether the first that a daemon tells is not the first that it did: what it did before may be of orders
// that were accepted since the console looks.
func (d *followed) late(news follow.News) bool {
	return d.Service != story.Orderd && len(news.Events) > 0 && news.Events[0].GetSequence() > 1
}

// counting reports whether an order counts already.
func (f *feed) counting() bool { return len(f.board.State(time.Now()).Ledger) > 0 }

// anew has the ledger begin again.
func (f *feed) anew() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.board.Anew(time.Now())
}

// picture is the live page at one moment.
type picture struct {
	board.State
	Daemons []daemonState
	Stage   *stageState // nil: there is none
}

// picture is what is known now.
func (f *feed) picture() picture {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var p picture
	for _, d := range f.daemons {
		f.judge(now, d)
		p.Daemons = append(p.Daemons, d.stateAt(now))
	}
	p.State = f.board.State(now)
	p.At = now.Truncate(time.Second) // what is shown to the second changes once a second
	p.Stage = f.stage.state()
	return p
}
