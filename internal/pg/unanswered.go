package pg

import (
	"log/slog"
	"sync"
	"time"
)

// late is how long a COMMIT that nobody waits for any more may go without an answer before somebody is told. A caller
// that hangs up a moment too early is no fault of the database.
const late = time.Second

// unanswered has the log say that a pool's COMMITs get no answer, when their callers are gone and nobody else would:
// at the first, and each time that there are twice as many. It says so, too, when they are answered again.
type unanswered struct {
	log *slog.Logger

	mu    sync.Mutex // held while a line is written: the last one is how things are
	count int
	told  int // how many there were when it was said last; 0 when nothing was, or they were answered since
}

// watch returns when a COMMIT that was left to itself is done.
func (u *unanswered) watch(done <-chan struct{}) {
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	u.begin()
	<-done
	u.end()
}

func (u *unanswered) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	if u.count < 2*u.told {
		return
	}
	u.told = u.count
	u.log.Warn("commits are without an answer", "commits", u.count, "look_at", "pg_stat_replication and "+
		"synchronous_standby_names: is a synchronous standby away? pg_stat_activity: is it a lock, or the disk?")
}

// end says nothing: the connection may be lost, which is no answer.
func (u *unanswered) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count--
}

// answered is called when any COMMIT of the pool was answered.
func (u *unanswered) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.told == 0 || u.count > 0 {
		return
	}
	u.told = 0
	u.log.Info("commits are answered again")
}
