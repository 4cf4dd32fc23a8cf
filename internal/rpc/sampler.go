package rpc

import (
	"log/slog"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	"hosho/internal/digest"
)

// Sampler keeps refusals from filling the log. The first of a kind in ten seconds has a line of its own; the others are
// told together.
type Sampler struct {
	digest *digest.Digest[refusal]
}

// refusal is a kind of refusals. There are few: methods and reasons are ours.
type refusal struct {
	method string
	code   codes.Code
	reason string
}

// NewSampler makes a Sampler for a log.
func NewSampler(log *slog.Logger) *Sampler {
	return &Sampler{digest.New(digest.Config[refusal]{Own: 1, Together: func(r refusal, calls int) {
		log.Warn("refused", "method", r.method, "code", rpccode.Code(r.code).String(), "reason", r.reason,
			"calls", calls)
	}})}
}

// Tells reports whether a refusal is to have a line of its own.
func (s *Sampler) Tells(method string, code codes.Code, reason string) bool {
	return s.digest.Tells(refusal{method, code, reason})
}

// Stop tells what was not told yet. It is called after the last call.
func (s *Sampler) Stop() { s.digest.Stop() }
