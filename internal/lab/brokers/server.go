package brokers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"hosho/internal/proc"
)

// server is how a kind of broker is run.
type server interface {
	choosePorts() error
	url() string
	// command returns what runs the server on the data in a folder, which may not be there yet. It logs to its standard
	// output or error.
	command(data string) (*exec.Cmd, error)
	// isReady tells from the log of the present start whether the server can be used.
	isReady(log string) bool
}

// launch starts the server's program.
func (b *Broker) launch() error {
	cmd, err := b.server.command(b.data())
	if err != nil {
		return err
	}
	log, err := os.OpenFile(b.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.config.Dir, log, log
	child, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	b.child, b.logFrom = child, info.Size()
	return nil
}

// ready waits until the log says so: on a port that the server could not have, another one may answer.
func (b *Broker) ready(ctx context.Context) error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		if b.server.isReady(b.log()) {
			return nil
		}
		select {
		case <-b.child.Exited():
			return fmt.Errorf("it ended at once (%w):\n%s", errors.Join(b.child.Err()), b.words())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready (%w):\n%s", ctx.Err(), b.words())
		case <-tick.C:
		}
	}
}

// log returns what the server has logged since it was started last.
func (b *Broker) log() string {
	file, err := os.Open(b.LogFile())
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, b.logFrom, 1<<20))
	if err != nil {
		return ""
	}
	return string(text)
}

// words returns the end of that, for an error.
func (b *Broker) words() string {
	const most = 2048
	log := b.log()
	return strings.TrimSpace(log[max(0, len(log)-most):])
}

// isTaken tells from a log whether a start failed since somebody else has a port: as C and Go, and as Erlang says it.
func isTaken(log string) bool {
	log = strings.ToLower(log)
	return strings.Contains(log, "address already in use") || strings.Contains(log, "eaddrinuse")
}
