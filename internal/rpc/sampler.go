package rpc

import (
	"log/slog"
	"sync"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
)

// sampleInterval is how long refusals of a kind are only counted after one was told.
const sampleInterval = 10 * time.Second

// sampler keeps refusals from filling the log. The first of a kind has a line of its own, at once; those that follow
// are told together, every ten seconds, until there was none for as long.
type sampler struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[refusal]*sample
}

// refusal is a kind of refusals. There are few: methods and reasons are ours.
type refusal struct {
	method string
	code   codes.Code
	reason string
}

type sample struct {
	untold int
	timer  *time.Timer // rings when the interval is over
}

func newSampler(log *slog.Logger) *sampler { return &sampler{log: log, kinds: map[refusal]*sample{}} }

// tells reports whether a refusal is to have a line of its own.
func (s *sampler) tells(method string, code codes.Code, reason string) bool {
	kind := refusal{method, code, reason}
	s.mu.Lock()
	defer s.mu.Unlock()
	if current, ok := s.kinds[kind]; ok {
		current.untold++
		return false
	}
	s.kinds[kind] = &sample{timer: time.AfterFunc(sampleInterval, func() { s.interval(kind) })}
	return true
}

// interval tells of a kind's refusals since the last line, and goes on to listen if there were any.
func (s *sampler) interval(kind refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, ok := s.kinds[kind]
	switch {
	case !ok: // stopped
	case current.untold == 0:
		delete(s.kinds, kind)
	default:
		s.tell(kind, current)
		current.timer.Reset(sampleInterval)
	}
}

func (s *sampler) tell(kind refusal, current *sample) {
	s.log.Warn("refused", "method", kind.method, "code", rpccode.Code(kind.code).String(), "reason", kind.reason,
		"calls", current.untold)
	current.untold = 0
}

// stop tells what was not told yet. It is called after the last call.
func (s *sampler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind, current := range s.kinds {
		current.timer.Stop()
		if current.untold > 0 {
			s.tell(kind, current)
		}
		delete(s.kinds, kind)
	}
}
