package stack_test

import (
	"encoding/json"
	"io"
	"sync"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// stuckReader reads a log until it is told to stand still, and after it is told to go on.
type stuckReader struct {
	stands *sync.RWMutex // locked while nobody reads
	lines  io.Writer
}

func (r stuckReader) Write(p []byte) (int, error) {
	r.stands.RLock()
	defer r.stands.RUnlock()
	return r.lines.Write(p)
}

// Whoever reads the daemons' logs stands still. Orders are placed and settled as before, by all three daemons, for many
// times what a pipe holds, and every line is there when somebody reads again.
func TestALogThatNobodyReadsDelaysNoOrder(t *testing.T) {
	t.Parallel()
	slow.Long(t, "places thousands of orders, and internal/daemon has the log alone")
	const orders = 2000
	var stands sync.RWMutex
	var lines sync.Mutex
	told := map[string]int{} // deliveries and payments that a daemon told of
	s := start(t, bin, 1, func(c *stack.Config) {
		c.LogTo = func(daemon string) io.Writer {
			return stuckReader{&stands, stack.Lines(func(line []byte) {
				var entry struct{ Msg string }
				if err := json.Unmarshal(line, &entry); err != nil {
					t.Errorf("%s: %q: %v", daemon, line, err)
				}
				lines.Lock()
				defer lines.Unlock()
				told[entry.Msg]++
			})}
		}
	})
	stands.Lock()
	read := sync.OnceFunc(stands.Unlock)
	defer read() // else the daemons' ends are waited for in vain
	began := time.Now()
	for range orders {
		s.place(t, 600)
	}
	s.await(t, "every order is settled", allSettled)
	t.Logf("%d orders in %v", orders, time.Since(began))
	read()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if told["delivery"] < orders || told["payment"] < orders || told["lines of the log were dropped"] > 0 {
		t.Errorf("got %v, want a line for each of %d orders, and none dropped: there was room", told, orders)
	}
}
