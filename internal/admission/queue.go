package admission

import (
	"container/list"
	"context"
)

// By returns a context whose calls are those of a party, any comparable value. Where calls wait, parties take turns:
// one that asks for much waits behind itself, and keeps nobody else from his turn. Calls without one are of one party.
func By(ctx context.Context, party any) context.Context {
	return context.WithValue(ctx, partyKey{}, party)
}

type partyKey struct{}

func partyOf(ctx context.Context) any { return ctx.Value(partyKey{}) }

// queue is who waits for a slot: of each party as they came, and of the parties in turns.
type queue struct {
	waiting int
	parties map[any]*party
	turns   list.List // of *party, each of which has somebody waiting
}

type party struct {
	name    any
	waiting list.List // of *waiter
	turn    *list.Element
}

// waiter is a call that waits. Its turn is closed when a slot is given to it.
type waiter struct {
	turn  chan struct{}
	party *party
	place *list.Element // nil when it does not wait any more
}

// push has a party's call wait.
func (q *queue) push(name any) *waiter {
	p := q.parties[name]
	if p == nil {
		p = &party{name: name}
		p.turn = q.turns.PushBack(p)
		if q.parties == nil {
			q.parties = map[any]*party{}
		}
		q.parties[name] = p
	}
	w := &waiter{turn: make(chan struct{}), party: p}
	w.place = p.waiting.PushBack(w)
	q.waiting++
	return w
}

// pop takes the next call off, nil when there is none. Its party goes to the end of the turns.
func (q *queue) pop() *waiter {
	first := q.turns.Front()
	if first == nil {
		return nil
	}
	p := first.Value.(*party)
	q.turns.MoveToBack(first)
	w := p.waiting.Front().Value.(*waiter)
	q.remove(w)
	return w
}

func (q *queue) remove(w *waiter) {
	p := w.party
	p.waiting.Remove(w.place)
	w.place = nil
	q.waiting--
	if p.waiting.Len() == 0 {
		q.turns.Remove(p.turn)
		delete(q.parties, p.name)
	}
}

// ahead returns how many calls wait of a party already, and how many of all come to a slot until a new one of it has:
// in each round of turns each party has one.
func (q *queue) ahead(name any) (own, turns int) {
	parties := len(q.parties)
	if p := q.parties[name]; p != nil {
		own = p.waiting.Len()
	} else {
		parties++
	}
	return own, min((own+1)*parties, q.waiting+1)
}

// crowded reports whether some party has more than one call waiting.
func (q *queue) crowded() bool { return q.waiting > len(q.parties) }
