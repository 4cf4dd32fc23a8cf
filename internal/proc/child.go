// Package proc is for a program that runs others: children that do not outlive it, the environment that those of a
// private system get, and folders and ports for them.
//
// Its promise: a child ends when its parent stops it, and on Linux also when the parent dies, however it does; a
// folder does not outlive the next of its kind; and no port that is chosen here is ever taken by a connection that goes
// out.
package proc

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Child is a program that was started here.
type Child struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended; set before exited is closed
}

// Start starts a program in a process group of its own, so that the terminal's Ctrl-C reaches its parent alone, which
// stops it in order. A parent that dies leaves it the signal orphaned, where the system can do that. Of the attributes
// that cmd has already, the others stay as they are.
func Start(cmd *exec.Cmd, orphaned syscall.Signal) (*Child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, orphaned)
	c := &Child{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go c.run(started)
	return c, <-started
}

// run forks and waits on one thread that it keeps: Linux takes the end of the thread that forked for the parent's
// death, and Go ends threads as it pleases.
func (c *Child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	c.err = c.cmd.Wait()
	close(c.exited)
}

// Pid returns the process id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Exited returns a channel that is closed when the program has ended and its output has been read.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Err waits for the program's end, and returns how it ended: as exec.Cmd.Wait does.
func (c *Child) Err() error {
	<-c.exited
	return c.err
}

// Signal sends the program a signal. One that has ended is told nothing.
func (c *Child) Signal(signal syscall.Signal) {
	_ = c.cmd.Process.Signal(signal) // fails only when it has ended
}
