package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"hosho/internal/batch"
	"hosho/internal/card"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
)

// decideTimeout bounds the database's part of a decision. The caller of a stream's command may have set no deadline.
const decideTimeout = 10 * time.Second

// streamPatience is how long the commands of a stream wait for the database before they are answered that the outcome
// is unknown. It is less than a relay waits for an answer: a COMMIT whose standby is away is no fault of an order, and
// no answer at all would be taken for one.
const streamPatience = 1500 * time.Millisecond

// answer is a command and what became of it.
type answer struct {
	command
	payment payment.Payment
	err     error // and no payment
}

// refuse gives all commands the same error.
func refuse(commands []command, err error) []answer {
	answers := make([]answer, len(commands))
	for i, c := range commands {
		answers[i] = answer{command: c, err: err}
	}
	return answers
}

// decide answers each command through reply as soon as it is decided, but for those that it returns: their charge
// hangs in the card network, nothing is written, and the caller may wait as long as it likes. reply may be called by
// several goroutines at once, and no more when decide has returned.
//
// A known key gets its stored outcome (rule 5 of doc/rules.md). Voids, and charges that break no rule and that the
// network answers, go straight to the database, where the INSERT is the lookup of their key: what the network said
// counts only when it writes. That is right while asking the network has no effect, and doc/decisions/card-network.md
// says what else one would need.
func (s *server) decide(
	ctx context.Context, patience time.Duration, commands []command, reply func([]answer),
) (hanging []command) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	s.authorise(ctx, commands)
	var refused []answer
	var charges, voids, doubtful []command
	for _, c := range commands {
		switch {
		case c.refused != nil:
			refused = append(refused, answer{command: c, err: c.refused})
		case c.kind == kindVoid:
			voids = append(voids, c)
		case c.doubt != nil || s.loses[c.asked.AmountMinor]:
			doubtful = append(doubtful, c)
		default:
			charges = append(charges, c)
		}
	}
	if len(refused) > 0 {
		reply(refused)
	}
	var others sync.WaitGroup
	defer others.Wait()
	if len(charges) > 0 {
		others.Go(func() {
			answerWithin(patience, reply, charges, func() []answer { return carryOut(ctx, charges, s.charge) })
		})
	}
	if len(voids) > 0 {
		others.Go(func() {
			answerWithin(patience, reply, voids, func() []answer { return carryOut(ctx, voids, s.void) })
		})
	}
	if len(doubtful) > 0 {
		return s.decideDoubtful(ctx, doubtful, reply)
	}
	return nil
}

// answerWithin replies what the commands came to, or that it is unknown when that takes too long: what is done in the
// end is told to whoever repeats them. It returns when all is done.
func answerWithin(patience time.Duration, reply func([]answer), commands []command, do func() []answer) {
	done := make(chan []answer, 1)
	go func() { done <- do() }()
	impatient := time.NewTimer(patience)
	defer impatient.Stop()
	select {
	case answers := <-done:
		reply(answers)
	case <-impatient.C:
		reply(refuse(commands, fmt.Errorf("%w: not done within %s", pg.ErrCommitUnknown, patience)))
		<-done
	}
}

// authorise asks the network about the charges that break no rule.
func (s *server) authorise(ctx context.Context, commands []command) {
	for i := range commands {
		if c := &commands[i]; c.kind == kindCharge && c.refused == nil && c.doubt == nil {
			c.verdict, c.doubt = s.ask(ctx, c.asked.Request)
		}
	}
}

// ask asks the network about one charge. When that panics nobody knows what the network did: it is an error like any
// other that is no answer, and this charge's alone.
func (s *server) ask(ctx context.Context, r payment.Request) (verdict payment.Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			verdict, err = payment.Verdict{}, panicked(p)
		}
	}()
	return s.network.Authorise(ctx, r)
}

// decideDoubtful looks the keys up first: only an unknown one meets today's rules and the network's failures.
func (s *server) decideDoubtful(ctx context.Context, commands []command, reply func([]answer)) (hanging []command) {
	var answers []answer
	var lost []command
	for _, a := range carryOut(ctx, commands, s.lookup) {
		switch {
		case !isNotFound(a.err):
			answers = append(answers, a)
		case errors.Is(a.doubt, card.ErrNoAnswer):
			hanging = append(hanging, a.command)
		case a.doubt != nil:
			answers = append(answers, answer{command: a.command, err: a.doubt})
		default:
			lost = append(lost, a.command)
		}
	}
	if len(lost) > 0 {
		answers = append(answers, loseReplies(carryOut(ctx, lost, s.charge))...)
	}
	if len(answers) > 0 {
		reply(answers)
	}
	return hanging
}

// loseReplies puts an error in the place of what was decided. The decision stands.
func loseReplies(answers []answer) []answer {
	for i, a := range answers {
		if a.err == nil {
			answers[i] = answer{command: a.command, err: errReplyLost}
		}
	}
	return answers
}

// operation is one of the store's: it returns the results of all commands, in their order, or of none. The commands
// mean the same database.
type operation func(context.Context, []command) ([]paymentdb.Result, error)

func (s *server) charge(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
	charges := make([]payment.Authorisation, len(commands))
	for i, c := range commands {
		charges[i] = payment.Authorisation{Charge: c.asked, Verdict: c.verdict}
	}
	return s.store.Charge(ctx, charges, commands[0].meant)
}

func (s *server) void(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
	return s.store.Void(ctx, requests(commands), commands[0].meant)
}

func (s *server) lookup(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
	return s.store.Lookup(ctx, requests(commands), commands[0].meant)
}

func requests(commands []command) []payment.Request {
	out := make([]payment.Request, len(commands))
	for i, c := range commands {
		out[i] = c.asked.Request
	}
	return out
}

// carryOut carries out an operation on all commands at once. When it fails for a reason that may be one command's, it
// is carried out on either half, and so on, until only the bad ones fail; the halves keep the order, so that of the
// same key twice the first still decides. Any other error is everyone's.
func carryOut(ctx context.Context, commands []command, do operation) (answers []answer) {
	try := func(commands []command) ([]paymentdb.Result, error) { return guarded(ctx, commands, do) }
	for _, same := range byDatabase(commands) {
		for part := range batch.Bisect(same, try, ofOneCommand) {
			if part.Err != nil {
				answers = append(answers, refuse(part.Items, part.Err)...)
				continue
			}
			for i, r := range part.Result {
				answers = append(answers, answer{part.Items[i], r.Payment, r.Err})
			}
		}
	}
	return answers
}

// byDatabase keeps commands apart that mean different databases, in their order: one group nearly always.
func byDatabase(commands []command) (groups [][]command) {
	at := map[string]int{}
	for _, c := range commands {
		i, known := at[c.meant]
		if !known {
			i = len(groups)
			at[c.meant], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// ofOneCommand reports whether a failure may be one command's: the database's faults are everyone's, and so is that it
// is another database than these commands mean.
func ofOneCommand(err error) bool {
	return pg.Classify(err) == pg.Unexpected && !errors.Is(err, paymentdb.ErrWrongDatabase)
}

// guarded turns a panic into an error, so that a command which causes one takes nothing along.
func guarded(ctx context.Context, commands []command, do operation) (results []paymentdb.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return do(ctx, commands)
}

func panicked(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) }
