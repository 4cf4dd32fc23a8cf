package pg

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Callers that hang up are many. The log has a line when a COMMIT is late, and when twice as many are, and not one for
// each.
func TestCommitsWithoutAnAnswerAreToldOfWhenTheyDouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		u := &unanswered{log: slog.New(slog.NewTextHandler(&log, nil))}
		const warning = `level=WARN msg="commits are without an answer"`
		const relief = `level=INFO msg="commits are answered again"`
		var waiting []chan struct{}
		leave := func(n int) {
			for range n {
				done := make(chan struct{})
				waiting = append(waiting, done)
				go u.watch(done)
			}
		}
		finish := func(n int) {
			for _, done := range waiting[:n] {
				close(done)
			}
			waiting = waiting[n:]
		}
		answer := func() {
			synctest.Wait()
			u.answered()
		}
		for _, step := range []struct {
			name string
			do   func()
			pass time.Duration
			want string // the lines, but for their ends
		}{
			{"a caller hangs up a moment too early", func() { leave(1) }, late - 1, ""},
			{"and there is the answer", func() { finish(1); answer() }, late, ""},
			{"one is late", func() { leave(1) }, late, warning + " commits=1"},
			{"another is answered meanwhile", answer, 0, ""},
			{"two are late", func() { leave(1) }, late, warning + " commits=2"},
			{"three", func() { leave(1) }, late, ""},
			{"three of them, and then three again", func() { finish(1); leave(1) }, late, ""},
			{"four", func() { leave(1) }, late, warning + " commits=4"},
			{"all connections are lost", func() { finish(4) }, late, ""},
			{"one is late where they went", func() { leave(1) }, late, ""},
			{"it ends, and there are answers", func() { finish(1); answer(); answer() }, 0, relief},
			{"the next is late", func() { leave(1) }, late, warning + " commits=1"},
		} {
			log.Reset()
			step.do()
			time.Sleep(step.pass) // of the bubble's own time
			synctest.Wait()
			_, got, _ := strings.Cut(strings.TrimSpace(log.String()), " ") // without the time
			if !strings.HasPrefix(got, step.want) || step.want == "" && got != "" || strings.Contains(got, "\n") {
				t.Errorf("%s: got %q, want %q", step.name, got, step.want)
			}
		}
		finish(len(waiting))
	})
}
