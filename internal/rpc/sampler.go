package rpc

import (
	"context"
	"log/slog"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	"hosho/internal/digest"
	"hosho/internal/identity"
)

// Sampler keeps refusals, and mistakes of clients, from filling the log. The first of a kind and of a caller has a line
// of its own in ten seconds; the others are told together.
type Sampler struct {
	digest *digest.Digest[refusal]
}

// mostRefusals bounds how many kinds there are: methods and reasons are ours, callers may be many.
const mostRefusals = 1000

// refusal is a kind of refusals.
type refusal struct {
	method   string
	code     codes.Code
	reason   string
	identity string // of who called, where there are certificates
}

// others are callers that are told together.
const others = "others"

// NewSampler makes a Sampler for a log.
func NewSampler(log *slog.Logger) *Sampler {
	return &Sampler{digest.New(digest.Config[refusal]{
		Own: 1, Most: mostRefusals,
		Rest: func(r refusal) refusal {
			r.identity = others
			return r
		},
		Together: func(r refusal, calls int) {
			attrs := []any{
				"method", r.method, "code", rpccode.Code(r.code).String(), "reason", r.reason, "calls", calls,
			}
			if r.identity != "" {
				attrs = append(attrs, "identity", r.identity)
			}
			log.Log(context.Background(), Severity(r.code), "refused", attrs...)
		},
	})}
}

// Tells reports whether a refusal of the call that ctx is of is to have a line of its own.
func (s *Sampler) Tells(ctx context.Context, method string, code codes.Code, reason string) bool {
	return s.digest.Tells(refusal{method, code, reason, identity.Of(ctx)})
}

// Stop tells what was not told yet. It is called after the last call.
func (s *Sampler) Stop() { s.digest.Stop() }
