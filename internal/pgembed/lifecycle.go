package pgembed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hosho/internal/proc"
	"hosho/internal/wait"
)

const (
	// startTimeout bounds a start, which after a crash includes the recovery.
	startTimeout = time.Minute
	// heldPause is the wait before a start is tried again that failed for what somebody else holds.
	heldPause = 50 * time.Millisecond
)

// ErrNotRunning says that something was asked for that only a running server can do.
var ErrNotRunning = errors.New("the PostgreSQL server is not running")

// Pid returns the process id of the postmaster that was started last.
func (s *Server) Pid() int { return s.process.Load().Pid() }

// Stop shuts the server down, with force where it does not listen, and removes what Start made. A second Stop does
// nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if err := s.shutDown(); err != nil {
		return err
	}
	return errors.Join(s.freeMemory(), s.remove())
}

// Crash ends the server as a power failure would, only that the operating system's caches survive: no session is
// asked, nothing is written down. It returns when all of its processes are gone, or ErrNotRunning.
func (s *Server) Crash() error {
	p := s.process.Load()
	select {
	case <-p.Exited():
		return ErrNotRunning
	default:
	}
	if !p.end(immediate) {
		return fmt.Errorf("PostgreSQL (process %d) did not end", p.Pid())
	}
	return nil
}

// Kill ends the postmaster, and it alone: its children end when they notice, some of them with a last reply. On a
// server that is not running it does nothing.
func (s *Server) Kill() {
	p := s.process.Load()
	p.Signal(kill)
	<-p.Exited()
}

// Restart starts the server again, on the same port and data: after Crash or Kill as soon as the last process of the
// former one has let go of them, and after a fast shutdown when it still runs. It returns ErrNotRunning after Stop.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrNotRunning
	}
	if err := s.shutDown(); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("restart PostgreSQL: %w", err)
	}
	return nil
}

// shutDown returns when all processes are gone. The children of a killed postmaster can only be waited for.
func (s *Server) shutDown() error {
	p := s.process.Load()
	for _, signal := range []syscall.Signal{fast, immediate, kill} {
		if p.end(signal) {
			return nil
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end", p.Pid())
}

// run starts the server. What somebody else holds it asks for again until endTimeout has passed: the port, or the data
// that the last processes of a killed server have not let go of. A port that it chose itself it chooses anew.
func (s *Server) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for begin := time.Now(); ; {
		if !s.pinned {
			port, err := proc.FreePort()
			if err != nil {
				return err
			}
			s.port = port
		}
		p, err := s.launch("postgres", s.arguments()...)
		if err != nil {
			return err
		}
		s.process.Store(p)
		if err = s.ready(ctx, p); err == nil {
			s.pinned = true
			return nil
		}
		p.end(kill)
		if !held(p.log()) || time.Since(begin) > endTimeout {
			return err
		}
		if !wait.For(ctx, heldPause) {
			return err
		}
	}
}

// held tells from the log whether the start failed for something that another process holds.
func held(log string) bool {
	return strings.Contains(log, "could not bind") || // the port
		strings.Contains(log, `lock file "postmaster.pid" already exists`) || // the data
		strings.Contains(log, "pre-existing shared memory block")
}

// ready waits until the server accepts connections, but not for one that has ended.
func (s *Server) ready(ctx context.Context, p *process) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := s.connect(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("it ended at once: %w\n%s", p.Err(), p.log())
		case <-ctx.Done():
			return fmt.Errorf("%w: it does not accept connections: %w\n%s", ctx.Err(), err, p.log())
		case <-tick.C:
		}
	}
}

// quoted is a name in a list of PostgreSQL's, which a comma would end.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (s *Server) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": quoted(s.sockets),
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		// Files below the data directory: what a killed server leaves goes with it.
		"dynamic_shared_memory_type": "mmap",
	}
	if s.standby != "" {
		settings["wal_retrieve_retry_interval"] = "100ms" // commits wait for it while its primary is back and it is not
	}
	if !s.config.Durable {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
		settings["max_wal_size"] = "256MB" // the files may be in memory
	}
	maps.Copy(settings, s.config.Settings)
	args := []string{"-D", s.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
