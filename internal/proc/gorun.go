package proc

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// orphanPoll is how often a program that `go run` started looks whether that is still there. Nothing tells it.
const orphanPoll = 200 * time.Millisecond

// WithGoRun returns a context that ends with ctx, and, where this program was started by `go run`, with that: it dies
// of a SIGTERM or a SIGHUP that it passes on to nobody. Whatever else started the program may end before it.
func WithGoRun(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if parent := os.Getppid(); nameOf(parent) == "go" {
		go func() {
			defer cancel()
			tick := time.NewTicker(orphanPoll)
			defer tick.Stop()
			for os.Getppid() == parent && ctx.Err() == nil {
				<-tick.C
			}
		}()
	}
	return ctx, cancel
}

// nameOf returns the name of a process's program, or "" where it cannot be told.
func nameOf(pid int) string {
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil { // no Linux
		name, err = exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	}
	if err != nil {
		return ""
	}
	return filepath.Base(strings.TrimSpace(string(name)))
}
