// Package brokers runs private message brokers as child processes, for tests, the demo and chaos.
//
// Its promise: a broker that was started answers, nobody else's is mistaken for it, and after Close no process of it is
// left. On Linux that holds also when this program is killed. What a machine does not have is named, with what installs
// it.
//
// Whoever can reach the loopback interface may use such a broker, unless it is secured: there is no password. Keep
// nothing of value in it.
package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"hosho/internal/proc"
	"hosho/internal/wait"
)

// The kinds of brokers, by the names of their transports.
const (
	NATS     = "nats"     // nats-server with JetStream
	RabbitMQ = "rabbitmq" // one node, with an epmd of its own
	Kafka    = "kafka"    // one node in KRaft mode
)

// Kinds are all kinds of brokers.
func Kinds() []string { return []string{NATS, RabbitMQ, Kafka} }

// ErrMissing says that the machine does not have what a broker is run with. The error that wraps it tells how it is
// got.
var ErrMissing = errors.New("not on this machine")

// ErrClosed says that a broker was to be started after Close.
var ErrClosed = errors.New("the broker is closed")

// Config says what broker to start.
type Config struct {
	Kind string
	Dir  string // for data and logs, made if need be. Data found there is used again. Close leaves it
	// Installed takes the machine's own nats-server, where there is one. Otherwise it is one of the version that tests
	// are made for, built when it is wanted first.
	Installed bool
	Secured   *Secured          // nil: it talks to everybody, in plaintext
	Progress  func(step string) // told what takes long; may be nil
}

// Broker is one server. Its methods may be called from any goroutine.
type Broker struct {
	config Config
	server server

	mu       sync.Mutex    // held while it is started or ended
	pinned   bool          // its address was told to somebody, and may not change
	children []*proc.Child // what was started last: the server, after what it needs
	logFrom  int64         // where their part of the log begins
	closed   bool
}

const (
	// startTimeout bounds a start, with the recovery after a kill, on a machine that has much else to do.
	startTimeout = 2 * time.Minute
	startPoll    = 5 * time.Millisecond
	// takenTimeout is how long a port is asked for that may not change.
	takenTimeout = 30 * time.Second
	takenPause   = 50 * time.Millisecond
)

// Start starts a broker that is empty, unless there is data in its folder, and waits until it can be used. The context
// bounds the start alone.
func Start(ctx context.Context, config Config) (*Broker, error) {
	if config.Progress == nil {
		config.Progress = func(string) {}
	}
	var err error
	if config.Dir, err = filepath.Abs(config.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		return nil, err
	}
	b := &Broker{config: config}
	if b.server, err = newServer(ctx, config); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

func newServer(ctx context.Context, config Config) (server, error) {
	switch config.Kind {
	case NATS:
		return newNATS(ctx, config)
	case RabbitMQ:
		return newRabbitMQ(config)
	case Kafka:
		return newKafka(config)
	}
	return nil, fmt.Errorf("broker: got %q, want one of %s", config.Kind, strings.Join(Kinds(), ", "))
}

// Kind is its kind.
func (b *Broker) Kind() string { return b.config.Kind }

// URL is how clients reach it. It stays the same as long as the broker is there.
func (b *Broker) URL() string { return b.server.url() }

// LogFile is where the server logs, start after start.
func (b *Broker) LogFile() string { return filepath.Join(b.config.Dir, b.config.Kind+".log") }

// Pid returns the process id of the server that was started last.
func (b *Broker) Pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.child().Pid()
}

// Kill ends the server with SIGKILL, also a frozen one, and returns when it is gone.
func (b *Broker) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
}

// Freeze stops the server where it is (SIGSTOP): its connections stay, and nothing is answered.
func (b *Broker) Freeze() { b.signal(syscall.SIGSTOP) }

// Thaw has a frozen server go on.
func (b *Broker) Thaw() { b.signal(syscall.SIGCONT) }

// Restart starts the server again, on the same address and data. One that still runs is killed before.
func (b *Broker) Restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
	return b.run(ctx)
}

// Wipe kills the server, and starts it on the same address with nothing of what was in it.
func (b *Broker) Wipe(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
	if err := os.RemoveAll(b.data()); err != nil {
		return err
	}
	return b.run(ctx)
}

// Close ends the broker. It may be called again.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.kill()
}

func (b *Broker) data() string { return filepath.Join(b.config.Dir, "data") }

func (b *Broker) signal(signal syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.child().Signal(signal)
}

// child is the server itself.
func (b *Broker) child() *proc.Child { return b.children[len(b.children)-1] }

func (b *Broker) kill() {
	for _, child := range slices.Backward(b.children) {
		child.Signal(syscall.SIGKILL)
		<-child.Exited()
	}
}

// run starts the server. Ports that somebody else has it chooses anew, or, once they were told to somebody, asks for
// again until takenTimeout has passed.
func (b *Broker) run(ctx context.Context) error {
	if b.closed {
		return ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for begin := time.Now(); ; {
		if !b.pinned {
			if err := b.server.choosePorts(); err != nil {
				return err
			}
		}
		err := b.launch(ctx)
		if err == nil {
			b.pinned = true
			return nil
		}
		log := b.log()
		b.kill()
		if !isTaken(log) || time.Since(begin) > takenTimeout || !wait.For(ctx, takenPause) {
			return fmt.Errorf("start %s: %w", b.config.Kind, err)
		}
	}
}
