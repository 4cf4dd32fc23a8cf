package pgembed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hosho/internal/proc"
)

// The ways to end a server.
const (
	fast      = syscall.SIGINT  // end the sessions, write everything down
	immediate = syscall.SIGQUIT // as in a crash: the next start recovers
	kill      = syscall.SIGKILL // the postmaster alone; its children find out
)

// endTimeout is how long a server is given to end at each degree of force, and a start to get at what another holds.
const endTimeout = 10 * time.Second

// process is a program of PostgreSQL's with all the processes that it forks.
type process struct {
	*proc.Child
	logFile string
	logFrom int64         // where its part of the log begins
	gone    chan struct{} // closed when all of its processes have ended
}

// launch starts a program of PostgreSQL's, logging to the server's log.
func (s *Server) launch(program string, args ...string) (*process, error) {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	// Every process that descends from this one inherits the writing end and none ever writes: the reading end comes to
	// its end when the last of them is gone. Process groups cannot tell that, for each backend makes one of its own.
	alive, inherited, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inherited.Close()

	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(environment(), s.config.Env...)
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{inherited}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner.credential}
	child, err := proc.Start(cmd, immediate)
	if err != nil {
		return nil, errors.Join(err, alive.Close())
	}
	p := &process{Child: child, logFile: log.Name(), logFrom: info.Size(), gone: make(chan struct{})}
	go func() {
		<-p.Exited()
		_, _ = io.Copy(io.Discard, alive) // whatever ends it, nobody is there any more
		alive.Close()
		close(p.gone)
	}()
	return p, nil
}

// end signals the program and reports whether all of its processes ended in time.
func (p *process) end(signal syscall.Signal) bool {
	p.Signal(signal) // one that has ended is what was wanted
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
		return true
	case <-timer.C:
		return false
	}
}

// log returns what was logged since the program started, at most the last 4 KiB of it.
func (p *process) log() string {
	f, err := os.Open(p.logFile)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer f.Close()
	from := p.logFrom
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-4096)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, 4096))
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return strings.TrimSpace(string(text))
}

// environment fixes the language of the log, which run reads.
func environment() []string { return proc.Environment("LC_ALL=C", "TZ=UTC") }
