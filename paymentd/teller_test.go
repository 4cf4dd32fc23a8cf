package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/batch"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
)

// statements is what a teller is given to do, as a channel: each waits until the test lets it go.
type statements chan statement

type statement struct {
	ids  []string
	done chan<- struct{}
}

func (s statements) do(_ context.Context, _ time.Duration, commands []command) ([]paymentdb.Result, error) {
	done := make(chan struct{})
	var ids []string
	results := make([]paymentdb.Result, len(commands))
	for i, c := range commands {
		ids = append(ids, c.asked.ID)
		results[i].Payment = payment.Payment{ID: c.asked.ID, Status: payment.Charged}
	}
	s <- statement{ids, done}
	<-done
	return results, nil
}

// errandOf is an errand of charges that mean a database, and what counts how often it is over.
func errandOf(over *sync.WaitGroup, meant string, ids ...string) *errand {
	over.Add(1)
	e := &errand{told: batch.NewGather[told](), over: over.Done}
	for _, id := range ids {
		c := command{kind: kindCharge, meant: meant}
		c.asked.ID = id
		e.commands = append(e.commands, c)
	}
	return e
}

// idsOf are the ids that an errand was told the answers of, in the order of its commands.
func (e *errand) idsOf() []string {
	ids := make([]string, len(e.commands))
	for _, told := range e.told.Take() {
		for i, a := range told.answers {
			ids[told.from+i] = a.payment.ID
		}
	}
	return ids
}

// What comes while a statement is under way forms the next one, in the order in which it came, a key that is given
// twice included. What means another database has one of its own, and what nobody waits for any more is not done.
func TestWhatComesMeanwhileFormsTheNextStatement(t *testing.T) {
	t.Parallel()
	s := make(statements)
	desk := &teller{do: s.do, most: 1}
	var over sync.WaitGroup
	errands := []*errand{
		errandOf(&over, "", "a", "b"), errandOf(&over, "", "c", "d"), errandOf(&over, "x", "e"),
		errandOf(&over, "", "gone"), errandOf(&over, "", "d", "f"),
	}
	desk.add(errands[0])
	first := <-s
	for _, e := range errands[1:] {
		desk.add(e)
	}
	if !desk.drop(errands[3]) {
		t.Error("got a waiting errand that was begun")
	}
	for i, want := range [][]string{{"a", "b"}, {"c", "d", "d", "f"}, {"e"}} {
		if i > 0 {
			first = <-s
		}
		if !slices.Equal(first.ids, want) {
			t.Errorf("statement %d: got %q, want %q", i+1, first.ids, want)
		}
		close(first.done)
	}
	over.Wait()
	for i, e := range errands {
		want := []string{"", ""}
		if i != 3 {
			want = nil
			for _, c := range e.commands {
				want = append(want, c.asked.ID)
			}
		}
		if got := e.idsOf(); !slices.Equal(got, want[:len(e.commands)]) {
			t.Errorf("errand %d: got %q, want %q", i+1, got, want)
		}
	}
}

// A statement is as large as one request may be at most.
func TestAStatementIsBounded(t *testing.T) {
	t.Parallel()
	s := make(statements)
	desk := &teller{do: s.do, most: 1}
	var over sync.WaitGroup
	many := make([]string, mostTogether/2)
	for range 4 { // the first by itself, then two and one
		desk.add(errandOf(&over, "", many...))
	}
	for _, want := range []int{1, 2, 1} {
		got := <-s
		if len(got.ids) != want*len(many) {
			t.Errorf("got %d commands, want %d", len(got.ids), want*len(many))
		}
		close(got.done)
	}
	over.Wait()
}

// The first statement does not end before the next one has begun.
func TestAStatementThatIsOverdueStopsTheNextNoMore(t *testing.T) {
	t.Parallel()
	s := make(statements)
	desk := &teller{do: s.do, most: 2}
	var over sync.WaitGroup
	desk.add(errandOf(&over, "", "slow"))
	slow := <-s
	desk.add(errandOf(&over, "", "next"))
	next := <-s
	close(next.done)
	close(slow.done)
	over.Wait()
	for desk.busy() { // for ever, where a turn is not given back
		runtime.Gosched()
	}
}

// busy reports whether anything is counted as under way.
func (t *teller) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running != 0 || t.turns != 0 || t.alone != 0
}

// Somebody holds two keys of a request. All others are answered, and so is another stream; then the two are, each when
// its key is let go.
func TestAKeyThatSomebodyHoldsDelaysOnlyItself(t *testing.T) {
	t.Parallel()
	s := start(t)
	k, other := s.open(t, t.Context()), s.open(t, t.Context())
	plain, commands := charges(98)
	held := []*paymentv1.ChargePaymentRequest{newCharge(500), newCharge(500)}
	releases := []func(){s.block(t, held[0]), s.block(t, held[1])}
	k.send(slices.Insert(commands, 40, proto.Message(held[0]), proto.Message(held[1]))...)
	s.awaitBlocked(t, 1)
	next := newCharge(500)
	other.send(next)
	wantPayment(t, other.receive(1)[0].GetPayment(), next, charged)
	results := k.receive(98)
	for _, c := range plain {
		wantPayment(t, find(t, results, kindCharge, c.GetPaymentId()).GetPayment(), c, charged)
	}
	for i, release := range releases {
		release()
		wantPayment(t, k.receive(1)[0].GetPayment(), held[i], voided)
	}
}

// The same for voids: one key is new and held, another stored and locked.
func TestAVoidThatMustWaitDelaysOnlyItself(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	fresh, stored, locked, held := newCharge(500), newCharge(500), newCharge(500), newCharge(500)
	s.charge(t, stored)
	s.charge(t, locked)
	releases := []func(){s.block(t, held)}
	tx, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), `SELECT FROM payments WHERE id = $1 FOR UPDATE`, locked.GetPaymentId())
	if err != nil {
		t.Fatal(err)
	}
	releases = append(releases, func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	})
	k.send(voidOf(held), voidOf(fresh), voidOf(locked), voidOf(stored))
	results := k.receive(2)
	wantPayment(t, find(t, results, kindVoid, fresh.GetPaymentId()).GetPayment(), fresh, voided)
	wantPayment(t, find(t, results, kindVoid, stored.GetPaymentId()).GetPayment(), stored, refunded)
	releases[0]()
	wantPayment(t, k.receive(1)[0].GetPayment(), held, voided)
	releases[1]()
	wantPayment(t, k.receive(1)[0].GetPayment(), locked, refunded)
}

// Eight streams send the same keys at once, half of them for another amount. Of each key all are told the same.
func TestStreamsThatSendTheSameKeysAreToldTheSame(t *testing.T) {
	t.Parallel()
	s := start(t)
	plain, commands := charges(20)
	var others []proto.Message
	for _, c := range plain {
		o := proto.CloneOf(c)
		o.Amount = yen(501)
		others = append(others, o)
	}
	var talks []*talk
	for range maxStreamsEach {
		talks = append(talks, s.open(t, t.Context()))
	}
	for i, k := range talks {
		if i%2 == 0 {
			k.send(commands...)
		} else {
			k.send(others...)
		}
	}
	told := map[string]map[int64]bool{}
	for i, k := range talks {
		for _, r := range k.receive(len(plain)) {
			if r.GetPayment() == nil {
				wantResultError(t, r, codes.AlreadyExists, "KEY_REUSED")
				continue
			}
			if got, want := r.GetPayment().GetAmount().GetAmountMinor(), int64(500+i%2); got != want {
				t.Errorf("stream %d: got amount %d, want its own, %d", i, got, want)
			}
			of := told[r.GetPaymentId()]
			if of == nil {
				of = map[int64]bool{}
				told[r.GetPaymentId()] = of
			}
			of[r.GetPayment().GetAmount().GetAmountMinor()] = true
		}
	}
	for _, c := range plain {
		if id := c.GetPaymentId(); len(told[id]) != 1 || s.count(t, "ledger", id) != 1 {
			t.Errorf("%s: got amounts %v and %d entries, want one of each", id, told[id], s.count(t, "ledger", id))
		}
	}
}

// Somebody holds every key of a request. Not each is tried by itself: some wait, and the others are told that nothing
// was done.
func TestKeysThatAreAllHeldAreNotAllTriedAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	all, commands := charges(200)
	release := s.block(t, all...)
	k.send(commands...)
	response, err := k.Recv()
	if err != nil {
		t.Fatal(err)
	}
	refused := response.GetResults()
	wantResultError(t, refused[0], codes.Aborted, "COLLISION")
	release()
	for answered := len(refused); answered < len(commands); {
		response, err := k.Recv()
		if err != nil {
			t.Fatal(err)
		}
		answered += len(response.GetResults())
	}
	k.send(commands...)
	for _, r := range k.receive(len(commands)) {
		if r.GetPayment().GetStatus() != voided {
			t.Errorf("sent again: got %v, want VOIDED", r)
		}
	}
}
