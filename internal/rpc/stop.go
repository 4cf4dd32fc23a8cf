package rpc

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
)

const (
	// StopTimeout is how long calls under way may take once the server is told to stop. GracefulStop alone would wait
	// for an open stream for ever.
	StopTimeout = 10 * time.Second
	// leaveTimeout is how long handlers may take to leave when their calls were ended. Then nobody hears their answer,
	// and one that does not look at its context must not keep the process.
	leaveTimeout = time.Second
)

// stop lets calls finish, then ends them, then gives up on them: the process ends within 12 s, whoever does not read.
func stop(server *grpc.Server, log *slog.Logger) {
	finished := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(finished)
	}()
	if endsWithin(finished, StopTimeout) {
		return
	}
	ended := make(chan struct{})
	go func() {
		server.Stop()
		close(ended)
	}()
	if !endsWithin(finished, leaveTimeout) {
		log.Warn("calls do not end", "waited", StopTimeout+leaveTimeout)
	}
	endsWithin(ended, leaveTimeout)
}

func endsWithin(done <-chan struct{}, timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
