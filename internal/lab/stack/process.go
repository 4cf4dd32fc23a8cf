package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/proc"
	"hosho/internal/rpc"
)

// Process is a daemon that runs as a child process, and may be killed and started again as often as one likes.
type Process struct {
	Name         string // "orderd", "relay-2"
	Address      string // its gRPC address, the same after each start
	AdminAddress string // of its /metrics, if Config.Admin says so; else empty
	HTTPAddress  string // of orderd's JSON door, if Config.HTTP says so; else empty
	LogFile      string

	// Settings are the variables of its environment that make it this daemon: started by hand with them, it is the same
	// one, at the same addresses.
	Settings []string

	binary     string
	program    string          // "relay", of relay-2 as well
	dial       grpc.DialOption // as itself
	env        []string        // besides: how it logs, and what the laboratory arms
	failpoints string          // the file that arms them; the daemon may have none
	logTo      io.Writer       // besides the file; may be nil

	mu      sync.Mutex
	child   *proc.Child // nil until it is started
	logFrom int64       // where its part of the log begins
}

const (
	readyTimeout = 30 * time.Second
	readyPoll    = 10 * time.Millisecond
	stopTimeout  = 12 * time.Second // a daemon gives calls under way ten seconds
)

// Start starts the daemon, with variables of its environment set otherwise for this once. It does not wait until it is
// ready.
func (p *Process) Start(env ...string) error {
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	info, err := log.Stat()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	cmd := exec.Command(p.binary, "serve")
	cmd.Env = proc.Environment(slices.Concat(p.Settings, p.env, env)...)
	cmd.Stderr = log
	if p.logTo != nil {
		cmd.Stderr = io.MultiWriter(log, p.logTo)
	}
	child, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.Name, err), log.Close())
	}
	go func() {
		<-child.Exited() // how it ended is in the log; whoever waits asks whether it did
		log.Close()
	}()
	p.mu.Lock()
	p.child, p.logFrom = child, info.Size()
	p.mu.Unlock()
	return nil
}

// WaitReady waits until the daemon serves, and not somebody else at its address. It returns an error with the end of
// the log when the daemon ends first: ErrPortTaken if that is why.
func (p *Process) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	conn, err := rpc.Dial(p.Address, p.dial)
	if err != nil {
		return err
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	exited := p.Exited()
	for {
		reply, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
		if err == nil && reply.GetStatus() == healthpb.HealthCheckResponse_SERVING && p.listens() {
			return nil
		}
		select {
		case <-exited:
			words := p.tail()
			if err := takenIn(words); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			return fmt.Errorf("%s ended before it was ready:\n%s", p.Name, words)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w):\n%s", p.Name, errors.Join(ctx.Err(), err), p.tail())
		case <-time.After(readyPoll):
		}
	}
}

// Program is the daemon's program, as a file.
func (p *Process) Program() string { return p.binary }

// Exited returns a channel that is closed when the daemon that was started last has ended.
func (p *Process) Exited() <-chan struct{} {
	return p.current().Exited()
}

// Pid returns the process id of the daemon that was started last.
func (p *Process) Pid() int {
	return p.current().Pid()
}

// Arm gives the daemon's failpoints their rules, in the words of package failpoint, until others follow; empty disarms
// them. A daemon that was built without failpoints takes no notice.
func (p *Process) Arm(rules string) error {
	next := p.failpoints + ".next" // renamed, so that the daemon never reads half of it
	if err := os.WriteFile(next, []byte(rules), 0o644); err != nil {
		return err
	}
	return os.Rename(next, p.failpoints)
}

func (p *Process) current() *proc.Child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// Signal sends a signal to the daemon, if it runs.
func (p *Process) Signal(signal syscall.Signal) {
	if child := p.current(); child != nil {
		child.Signal(signal)
	}
}

// Kill kills the daemon with SIGKILL and waits for its end.
func (p *Process) Kill() {
	if child := p.current(); child != nil {
		child.Signal(syscall.SIGKILL)
		<-child.Exited()
	}
}

// Stop asks the daemon to stop, and kills it when it does not in time.
func (p *Process) Stop() error {
	child := p.current()
	if child == nil {
		return nil
	}
	child.Signal(syscall.SIGTERM)
	select {
	case <-child.Exited():
		return nil
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("%s did not stop within %v:\n%s", p.Name, stopTimeout, p.tail())
	}
}

// listens reports whether the daemon has said, in the beginning of its log, that its address is its own.
func (p *Process) listens() bool {
	const beginning = 64 << 10
	text, err := p.log(func(from, _ int64) (int64, int64) { return from, beginning })
	return err == nil && strings.Contains(text, `"msg":"serving"`)
}

// tail returns the end of what the daemon has logged since it was started last.
func (p *Process) tail() string {
	const most = 2048
	text, err := p.log(func(from, size int64) (int64, int64) { return max(from, size-most), most })
	if err != nil {
		return err.Error()
	}
	return text
}

// log returns a part of the log, which is chosen by where the daemon's own begins, and by where it ends.
func (p *Process) log(part func(from, size int64) (offset, length int64)) (string, error) {
	file, err := os.Open(p.LogFile)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	offset, length := part(p.logFrom, info.Size())
	p.mu.Unlock()
	text, err := io.ReadAll(io.NewSectionReader(file, offset, length))
	return string(text), err
}
