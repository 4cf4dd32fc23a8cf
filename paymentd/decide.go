package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"hosho/internal/batch"
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

// work is the commands of one request.
type work struct {
	commands []command
	arrived  time.Time // when they came: all their times run since then, whatever they waited for
	patience time.Duration
	reply    func([]answer) // may be called by several goroutines at once

	charges turn // of charges that the network has answered
	lookups turn // of what is looked up first
}

// left is how long the database may still take. It has a part of the patience in any case: a batch may have waited for
// others, and a charge for the card network.
func (w work) left() time.Duration { return max(time.Until(w.arrived.Add(w.patience)), w.patience/4) }

// answer is a command and what became of it.
type answer struct {
	*command

	payment payment.Payment
	fresh   bool  // it was decided now, and not by an earlier command
	err     error // and no payment
}

// refuse gives all commands the same error.
func refuse(commands []command, err error) []answer {
	answers := make([]answer, len(commands))
	for i := range commands {
		answers[i] = answer{command: &commands[i], err: err}
	}
	return answers
}

// decide answers each command as soon as it is decided, but for the charges that the card network has not answered:
// nothing is written for these, and the caller may await them where they delay nobody. It returns nil where there are
// none. Otherwise there is no more reply when it has returned.
//
// A known key gets its stored outcome (rule 5 of doc/rules.md). Voids, and charges that break no rule and that the
// network answers, go straight to the database, where the INSERT is the lookup of their key: what the network said
// counts only when it writes. That is right while asking the network has no effect, and doc/decisions/card-network.md
// says what else one would need.
func (s *server) decide(ctx context.Context, w work) *asked {
	allow(ctx, w.commands)
	refused, accepted := apart(w.commands, func(c *command) bool { return c.refused != nil })
	voids, charges := apart(accepted, func(c *command) bool { return c.kind == kindVoid })
	doubtful, charges := apart(charges, func(c *command) bool { return c.doubt != nil })
	if len(refused) > 0 {
		answers := make([]answer, len(refused))
		for i := range refused {
			answers[i] = answer{command: &refused[i], err: refused[i].refused}
		}
		w.reply(answers)
	}
	var others sync.WaitGroup
	defer others.Wait()
	if len(voids) > 0 {
		others.Go(func() { w.carryOut(ctx, atOnce, s.voids, voids) })
	}
	asked := s.ask(ctx, w.arrived, charges)
	s.decideCharges(ctx, w, asked, joined(doubtful, asked.gather()))
	if asked.silent == 0 {
		asked.end()
		return nil
	}
	return asked
}

// decideCharges writes what the network approved or declined, and looks up what there is a doubt about.
func (s *server) decideCharges(ctx context.Context, w work, asked *asked, charges []command) {
	doubtful, approved := apart(charges, func(c *command) bool {
		return c.asking != nil || c.doubt != nil || s.loses[c.asked.AmountMinor]
	})
	if len(doubtful) == 0 {
		if len(approved) > 0 {
			w.carryOut(ctx, w.charges, s.charges, approved)
		}
		return
	}
	var others sync.WaitGroup
	defer others.Wait()
	if len(approved) > 0 {
		others.Go(func() { w.carryOut(ctx, w.charges, s.charges, approved) })
	}
	s.decideDoubtful(ctx, w, asked, doubtful)
}

// decideLate decides the charges that the network has answered late. Their keys were unknown before.
func (s *server) decideLate(ctx context.Context, w work, asked *asked, charges []command) {
	var failed []answer
	var decided []command
	for i := range charges {
		if c := &charges[i]; c.doubt != nil {
			failed = append(failed, answer{command: c, err: c.doubt})
		} else {
			decided = append(decided, *c)
		}
	}
	if len(failed) > 0 {
		w.reply(failed)
	}
	s.decideCharges(ctx, w, asked, decided)
}

// carryOut answers what the commands came to, each as soon as it is known; or, when that takes too long, that nothing
// was done, while they wait for their turn, or that it is unknown. What is done in the end is told to whoever repeats
// them, and nobody waits for it: the teller bounds how much of it there is.
func (w work) carryOut(ctx context.Context, turn turn, t *teller, commands []command) {
	patient, cancel := context.WithTimeout(ctx, w.left())
	defer cancel()
	leave, err := turn(patient)
	if err != nil {
		w.reply(refuse(commands, err))
		return
	}
	groups := byDatabase(commands)
	var under atomic.Int32
	under.Add(int32(len(groups)))
	over := func() {
		if under.Add(-1) == 0 {
			leave()
		}
	}
	var others sync.WaitGroup
	defer others.Wait()
	for _, same := range groups[1:] {
		others.Go(func() { w.wait(patient, t, same, over) })
	}
	w.wait(patient, t, groups[0], over)
}

// wait has a teller decide commands, and answers them until ctx ends.
func (w work) wait(ctx context.Context, t *teller, commands []command, over func()) {
	e := &errand{commands: commands, told: batch.NewGather[told](), over: over}
	answered, left := make([]bool, len(commands)), len(commands)
	take := func() {
		var all []answer
		for _, told := range e.told.Take() {
			for i := range told.answers {
				answered[told.from+i] = true
			}
			left -= len(told.answers)
			if all == nil {
				all = told.answers
			} else {
				all = append(all, told.answers...)
			}
		}
		if len(all) > 0 {
			w.reply(all)
		}
	}
	for t.add(e); left > 0; {
		select {
		case <-e.told.News():
			take()
		case <-ctx.Done():
			err := fmt.Errorf("%w: not done within %s", pg.ErrCommitUnknown, w.patience)
			if t.drop(e) {
				err = fmt.Errorf("nothing was done while others were served: %w", ctx.Err())
			}
			take()
			var rest []command
			for i, c := range commands {
				if !answered[i] {
					rest = append(rest, c)
				}
			}
			if len(rest) > 0 {
				w.reply(refuse(rest, err))
			}
			return
		}
	}
}

// decideDoubtful looks the keys up first: only an unknown one meets today's rules and the network's failures. Where the
// network has not answered about it, it is set aside.
func (s *server) decideDoubtful(ctx context.Context, w work, asked *asked, commands []command) {
	ctx, cancel := context.WithTimeout(ctx, w.left())
	defer cancel()
	leave, err := w.lookups(ctx)
	if err != nil {
		asked.finish(commands...)
		w.reply(refuse(commands, err))
		return
	}
	var answers []answer
	var lost []command
	for _, a := range carryOut(ctx, commands, s.lookup) {
		switch k := a.asking; {
		case isNotFound(a.err) && k != nil:
			s.aside.enter(k)
		case isNotFound(a.err) && a.doubt != nil:
			answers = append(answers, answer{command: a.command, err: a.doubt})
		case isNotFound(a.err):
			lost = append(lost, *a.command)
		default:
			asked.finish(*a.command)
			answers = append(answers, a)
		}
	}
	if len(lost) > 0 {
		answers = append(answers, loseReplies(carryOut(ctx, lost, s.chargeApart))...)
	}
	leave() // a reply may stand
	if len(answers) > 0 {
		w.reply(answers)
	}
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

// chargeApart is charge for commands that are decided by a statement of their own.
func (s *server) chargeApart(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
	return s.charge(ctx, 0, commands)
}

// within is the store for statements that wait for each lock so long, or, if that is 0, for as long as ever.
func (s *server) within(lockWait time.Duration) *paymentdb.Store {
	if lockWait == 0 {
		return s.store
	}
	return s.store.Impatient(lockWait)
}

func (s *server) charge(
	ctx context.Context, lockWait time.Duration, commands []command,
) ([]paymentdb.Result, error) {
	charges := make([]payment.Authorisation, len(commands))
	for i, c := range commands {
		charges[i] = payment.Authorisation{Charge: c.asked, Verdict: c.verdict}
	}
	began := time.Now()
	results, err := s.within(lockWait).Charge(ctx, charges, commands[0].meant)
	s.traceStatement("statement CHARGE", began, commands, err)
	s.note(kindCharge, commands, results)
	return results, err
}

func (s *server) void(
	ctx context.Context, lockWait time.Duration, commands []command,
) ([]paymentdb.Result, error) {
	began := time.Now()
	results, err := s.within(lockWait).Void(ctx, requests(commands), commands[0].meant)
	s.traceStatement("statement VOID", began, commands, err)
	s.note(kindVoid, commands, results)
	return results, err
}

func (s *server) lookup(ctx context.Context, commands []command) ([]paymentdb.Result, error) {
	began := time.Now()
	results, err := s.store.Lookup(ctx, requests(commands), commands[0].meant)
	s.traceStatement("statement LOOKUP", began, commands, err)
	s.note(kindCharge, commands, results) // a void is never looked up
	return results, err
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
				answers = append(answers, answer{&part.Items[i], r.Payment, r.New, r.Err})
			}
		}
	}
	return answers
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
