package connect

import (
	"context"
	"log/slog"
	"time"

	"hosho/internal/broker"
	"hosho/internal/digest"
	"hosho/internal/wait"
)

const (
	// checkWithin bounds one question to the broker, and checkEvery is the time between two.
	checkWithin = 10 * time.Second
	checkEvery  = 2 * time.Second
)

// Tell logs what the topics of a prefix can promise, as soon as the broker says so, and what an unsafe setting costs.
// Until then it says what is wrong, at once and then once a minute. It returns when that is told, or ctx ends.
func Tell(ctx context.Context, b broker.Broker, prefix string, log *slog.Logger) {
	plan, err := broker.PlanOf(prefix, broker.MinRetention, 1)
	if err != nil {
		log.ErrorContext(ctx, "the topics cannot be checked", "error", err)
		return
	}
	for outage := new(digest.Outage); ; {
		promises, err := check(ctx, b, plan)
		if err == nil {
			tell(ctx, log, promises)
			return
		}
		if ctx.Err() == nil && outage.Met(1, time.Now()) > 0 {
			log.WarnContext(ctx, "the topics are not ready", "error", err)
		}
		if !wait.For(ctx, checkEvery) {
			return
		}
	}
}

func check(ctx context.Context, b broker.Broker, plan broker.Plan) ([]broker.Promise, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	return b.Check(ctx, plan)
}

func tell(ctx context.Context, log *slog.Logger, promises []broker.Promise) {
	for _, p := range promises {
		log.InfoContext(ctx, "topic", "name", p.Topic, "facts", p.Facts)
		if len(p.Unsafe) > 0 {
			log.WarnContext(ctx, "a topic may lose what its broker confirmed", "name", p.Topic, "unsafe", p.Unsafe)
		}
	}
}
