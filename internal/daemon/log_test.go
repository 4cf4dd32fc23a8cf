package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	oldlog "log"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/grpclog"

	"hosho/internal/daemon"
)

// called is what sampled answers to a call, after it logged as many lines as it was told to.
type called struct {
	Dropped int
	Heap    uint64 // bytes
}

// talk answers calls until ctx ends, and each logs. A call that asks for no lines ends it.
func talk(ctx context.Context, log *slog.Logger, end string) error {
	registry, calls := daemon.NewRegistry(), make(chan int)
	go func() {
		for lines := 0; ; calls <- lines {
			if _, err := fmt.Scanln(&lines); err != nil {
				return // nobody calls any more
			}
		}
	}()
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case lines := <-calls:
			switch {
			case lines == 0 && end == "panic":
				panic("it panics")
			case lines == 0 && end == "others":
				grpclog.Error("of gRPC\nin two lines")
				oldlog.Print("of net/http")
			case lines == 0:
				return errors.New("it fails")
			}
			for range lines {
				log.Info("line", "number", next, "long", strings.Repeat("x", 1000))
				next++
			}
		}
		if err := answer(registry); err != nil {
			return err
		}
	}
}

func answer(registry *prometheus.Registry) error {
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	var reply called
	for _, family := range families {
		if family.GetName() == "hosho_log_dropped_lines_total" {
			reply.Dropped = int(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	reply.Heap = memory.HeapAlloc
	return json.NewEncoder(os.Stdout).Encode(reply)
}

// talker is a sampled that is called.
type talker struct {
	t       *testing.T
	command interface{ Wait() error }
	process *os.Process
	calls   io.Writer
	replies *json.Decoder
}

// newTalker starts sampled with a stderr, of which it keeps nothing.
func newTalker(t *testing.T, stderr *os.File, args ...string) *talker {
	t.Helper()
	c := command(t, nil, append(args, "--database-url", url)...)
	c.Stderr = stderr
	calls, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	replies, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	return &talker{t, c, c.Process, calls, json.NewDecoder(replies)}
}

func (c *talker) send(lines int) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.calls, lines); err != nil {
		c.t.Fatal(err)
	}
}

// call has it log lines, and returns what it answers.
func (c *talker) call(lines int) called {
	c.t.Helper()
	c.send(lines)
	var reply called
	if err := c.replies.Decode(&reply); err != nil {
		c.t.Fatalf("got no answer to a call that logs %d lines: %v", lines, err)
	}
	return reply
}

// stop ends it in order, which must not take until the test's context kills it.
func (c *talker) stop() {
	c.t.Helper()
	if err := c.process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.command.Wait(); err != nil {
		c.t.Errorf("after SIGTERM: got %v, want exit 0", err)
	}
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	return read, write
}

// line is one of the log: a line that was asked for, or that which tells of those that are missing.
type line struct {
	Msg           string
	Number, Lines int
}

// numbers reads the log until the line of a number, and returns how many lines it said were dropped. The lines are
// whole and in order, and none is missing of which it was not told.
func numbers(t *testing.T, log *bufio.Scanner, last int) (dropped int) {
	t.Helper()
	for next := 0; next <= last; {
		if !log.Scan() {
			t.Fatalf("got the end before line %d, want line %d: %v", next, last, log.Err())
		}
		var l line
		if err := json.Unmarshal(log.Bytes(), &l); err != nil {
			t.Fatalf("%.200q: %v", log.Text(), err)
		}
		switch l.Msg {
		case "lines of the log were dropped":
			dropped += l.Lines
			next += l.Lines
		case "line":
			if l.Number != next {
				t.Fatalf("got line %d, want %d", l.Number, next)
			}
			next++
		}
	}
	return dropped
}

// A reader of the log that stands still, a shell with Ctrl-S or a collector that hangs, must not be felt by a call. A
// pipe holds 64 KiB, and 4 MiB wait; here 6 MB are logged.
func TestStderrThatNobodyReadsHangsNoCall(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	c := newTalker(t, write, "--talk=on")
	var reply called
	for range 6 {
		reply = c.call(1000)
	}
	if reply.Dropped == 0 || reply.Heap > 32<<20 {
		t.Errorf("got %d lines dropped and %d bytes on the heap, want some, and 32 MiB at most",
			reply.Dropped, reply.Heap)
	}
	log := bufio.NewScanner(read)
	if told := numbers(t, log, 5_999); told != reply.Dropped {
		t.Errorf("the log tells of %d dropped lines, the metric of %d", told, reply.Dropped)
	}
	if again := c.call(1); again.Dropped != reply.Dropped {
		t.Errorf("got %d lines dropped, want no more than %d once somebody reads", again.Dropped, reply.Dropped)
	}
	if !log.Scan() || !strings.Contains(log.Text(), `"number":6000`) {
		t.Errorf("got %.200q, want the line that was logged last", log.Text())
	}
	c.stop()
}

func TestADaemonStopsThoughNobodyReadsItsLog(t *testing.T) {
	t.Parallel()
	_, write := pipe(t)
	c := newTalker(t, write, "--talk=on")
	c.call(1000)
	c.stop()
}

// The reader of the log is gone: a daemon does not go with it.
func TestStderrThatIsClosedEndsNoDaemon(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	read.Close()
	c := newTalker(t, write, "--talk=on")
	reply := c.call(1000)
	for reply.Dropped < 1000 { // which the writer finds out in its own time
		reply = c.call(1)
	}
	c.stop()
}

// What gRPC and net/http have to say are lines of the log.
func TestOthersLogsAreLinesOfTheLog(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	c := newTalker(t, write, "--talk=others")
	c.call(0)
	log := bufio.NewScanner(read)
	for _, want := range []struct{ level, message string }{
		{"INFO", "serving"}, {"ERROR", "of gRPC\nin two lines"}, {"INFO", "of net/http"},
	} {
		var got struct{ Level, Msg, Daemon string }
		if !log.Scan() || json.Unmarshal(log.Bytes(), &got) != nil {
			t.Fatalf("got %q, want a line of the log", log.Text())
		}
		if got.Level != want.level || !strings.HasSuffix(got.Msg, want.message) || got.Daemon != "sampled" {
			t.Errorf("got %+v, want %+v of sampled", got, want)
		}
	}
	c.stop()
}

// What was logged before a daemon ends is written, however it ends.
func TestTheLogIsWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]string{"fail": "sampled: it fails", "panic": "panic: it panics"} {
		read, write := pipe(t)
		c := newTalker(t, write, "--talk="+end)
		c.call(200) // three times what a pipe holds
		c.send(0)
		all, err := io.ReadAll(read) // at once: what ends waits for a second
		if err != nil {
			t.Fatal(err)
		}
		log := bufio.NewScanner(bytes.NewReader(all))
		if dropped := numbers(t, log, 199); dropped != 0 {
			t.Errorf("%s: got %d lines dropped, want none", end, dropped)
		}
		if !log.Scan() || !strings.HasPrefix(log.Text(), want) {
			t.Errorf("%s: got %q after the log, want %q", end, log.Text(), want)
		}
		if err := c.command.Wait(); err == nil {
			t.Errorf("%s: got exit 0, want a failure", end)
		}
	}
}
