package outbox

import (
	"context"
	"time"
)

// Handler is what a worker works for: it knows what the messages mean.
type Handler interface {
	// Check looks at messages before anything is done with them: the past that they were written in may not be what is
	// so now, and their rows may have been changed. It returns those to go on with, in which it may have set Payload
	// and Rebuilt, ExpiresAt and Expired, and a report for each that is kept back. It changes nothing.
	Check(ctx context.Context, messages []Message) (going []Message, kept []Report)

	// Deliver sends messages on their way and returns without waiting for what becomes of them. For each it calls
	// report exactly once, from any goroutine, within the worker's CallTimeout or soon after; when ctx ends, at once. A
	// decision that comes after that is reported as well, as Late.
	// A message that is marked Alone goes by itself, so that what it breaks is broken for itself only.
	Deliver(ctx context.Context, messages []Message, report func(Report))

	// Explain is called once for each report, before it is settled, when it is clear what the report means.
	Explain(Report)

	// Settle applies what became of messages, each in the transaction that also changes the outbox. It returns the
	// reports that it could not apply yet, because somebody else is at the thing they are about. On an error none was
	// applied, or it is unknown whether they were; applying a report twice must be harmless.
	Settle(ctx context.Context, reports []Report) (Settled, error)
}

// Settled is what Settle did.
type Settled struct {
	Later []Report // could not be applied yet
	More  bool     // messages were appended or rescheduled: the next one may be due sooner than it was
}

// Result is what became of delivering a message, as far as the engine cares.
type Result uint8

// The results.
const (
	Decided    Result = iota + 1 // the peer has decided, durably
	Ambiguous                    // it may have been done or not: try again, and spend an attempt
	TimedOut                     // no answer, where others got theirs: Ambiguous; Blocked while the breaker is open
	Blocked                      // not the message's fault: try again, and spend none
	Deferred                     // the peer is well, and asks for patience or goes as planned: Blocked, but no failure
	Refused                      // it will not get better
	Conflict                     // the peer knows the key as something else
	Expired                      // it is too late, and was not sent
	Unreadable                   // it cannot be sent
	Withheld                     // it was not sent, which says nothing about the peer: try again, and spend no attempt
	Stray                        // it was not sent: what it is about is not there
	HandedOver                   // a broker has it: no outcome, and it stays until there is one (Table.HandOver)
)

func (r Result) String() string {
	return [...]string{
		"", "decided", "ambiguous", "timed out", "blocked", "deferred", "refused", "conflict", "expired", "unreadable",
		"withheld", "stray", "handed over",
	}[r]
}

// Report is what became of delivering one message.
type Report struct {
	Message    Message
	Result     Result
	Unanswered bool          // it was sent, and no answer came: its next try is one of the retry budget's
	Lost       bool          // so was what carried it: the message may have broken that
	Hung       bool          // it was not answered in time, and broke nothing that carried it
	Code       string        // what came back, for people: a reason or a gRPC code
	Body       any           // what Deliver wants Settle to know; the engine does not look inside
	Late       bool          // a decision that nobody waits for any more: it is settled, and holds no room
	RetryAfter time.Duration // the peer asked for at least this wait
	Immediate  bool          // it is worth one more try at once
	Took       time.Duration // from sending to the answer

	// Delay is the wait before the next try, filled in by the worker.
	Delay time.Duration

	until time.Time // when the lease of the message ends that it was claimed with, by this process's clock
}

// end is when the lease of the message ends, by this process's clock. Its caller has the worker's lock.
func (r Report) end() time.Time {
	if r.Message.lot != nil {
		return r.Message.lot.until
	}
	return r.until
}
