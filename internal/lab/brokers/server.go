package brokers

import (
	"context"
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
	// prepare makes what the programs want to find, but for the data that is there already.
	prepare(ctx context.Context, data string) error
	// programs returns what is run on the data in a folder: the server, after what it needs.
	programs(data string) []program
}

// program is one that runs as long as the broker.
type program struct {
	cmd *exec.Cmd // logs to its standard output or error
	// isReady tells from the log of the present start whether it can be used.
	isReady func(log string) bool
}

// says is for a program that is ready when it has said something.
func says(words string) func(log string) bool {
	return func(log string) bool { return strings.Contains(log, words) }
}

// launch starts the programs, each when the one before it is ready.
func (b *Broker) launch(ctx context.Context) error {
	if err := b.server.prepare(ctx, b.data()); err != nil {
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
	b.logFrom, b.children = info.Size(), nil
	for _, program := range b.server.programs(b.data()) {
		program.cmd.Dir, program.cmd.Stdout, program.cmd.Stderr = b.config.Dir, log, log
		child, err := proc.Start(program.cmd, syscall.SIGKILL)
		if err != nil {
			return err
		}
		b.children = append(b.children, child)
		if err := b.ready(ctx, child, program.isReady); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until the log says so: on a port that the server could not have, another one may answer.
func (b *Broker) ready(ctx context.Context, child *proc.Child, isReady func(log string) bool) error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		if isReady(b.log()) {
			return nil
		}
		select {
		case <-child.Exited():
			return fmt.Errorf("it ended at once (%w):\n%s", child.Err(), b.words())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready (%w):\n%s", ctx.Err(), b.words())
		case <-tick.C:
		}
	}
}

// log returns what was logged since the last start.
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
