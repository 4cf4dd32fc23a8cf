package main

import (
	"context"
	"log/slog"

	"hosho/internal/digest"
)

const (
	// ownLines is how many deliveries of a sort have a line of their own in an interval.
	ownLines = 100
	// mostSorts bounds how many sorts there are: a peer may make up reasons.
	mostSorts = 100
)

// sort is what deliveries have in common that are told together.
type sort struct {
	kind, code, means string
	level             slog.Level
}

// newDigest keeps deliveries that come to nothing from filling the log, as they do by the thousand in an outage. The
// attempts in the database have all.
func newDigest(log *slog.Logger) *digest.Digest[sort] {
	return digest.New(digest.Config[sort]{
		Own: ownLines, Most: mostSorts,
		Rest: func(s sort) sort {
			s.code = "OTHERS"
			return s
		},
		Together: func(s sort, n int) {
			log.Log(context.Background(), s.level, "deliveries",
				"kind", s.kind, "code", s.code, "means", s.means, "deliveries", n)
		},
	})
}
