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

// Sampler keeps refusals from filling the log. The first of a kind has a line of its own, at once; those that follow
// are told together, every ten seconds, until there was none for as long.
type Sampler struct {
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

// NewSampler makes a Sampler for a log.
func NewSampler(log *slog.Logger) *Sampler { return &Sampler{log: log, kinds: map[refusal]*sample{}} }

// Tells reports whether a refusal is to have a line of its own.
func (s *Sampler) Tells(method string, code codes.Code, reason string) bool {
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
func (s *Sampler) interval(kind refusal) {
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

func (s *Sampler) tell(kind refusal, current *sample) {
	s.log.Warn("refused", "method", kind.method, "code", rpccode.Code(kind.code).String(), "reason", kind.reason,
		"calls", current.untold)
	current.untold = 0
}

// Stop tells what was not told yet. It is called after the last call.
func (s *Sampler) Stop() {
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
