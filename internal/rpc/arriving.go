package rpc

import (
	"container/list"
	"sync"
	"time"

	"hosho/internal/admission"
)

// arriving bounds the requests that are on their way: their headers have come, and their message not yet, of which gRPC
// keeps what there is. One is there within moments. When there are too many, the oldest is ended of the client that has
// the most: who sends a byte a second on a thousand streams is in his own way, and in nobody else's.
type arriving struct {
	most int

	mu    sync.Mutex
	count int
	of    map[any]*list.List // by client: a *request each, the oldest first
}

// request is one on its way.
type request struct {
	from any
	end  func()
	at   *list.Element // nil when it is there, or was ended
}

const (
	// arrivingBytes is about how much all messages that are on their way may keep.
	arrivingBytes = 64 << 20
	// fewArriving may be on their way in any case, however large a message may be.
	fewArriving = 256
)

// newArriving is for messages of so many bytes at most.
func newArriving(maxReceive int) *arriving {
	return &arriving{most: max(fewArriving, arrivingBytes/max(maxReceive, 64<<10)), of: map[any]*list.List{}}
}

// enter notes that a request of a client is on its way, which end ends when another one needs its place: leave is
// called when it is there, or will not be any more. The error is an *admission.Overloaded.
func (a *arriving) enter(from any, end func()) (*request, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count >= a.most && !a.makeRoom(from) {
		return nil, &admission.Overloaded{Lane: "requests on their way", RetryAfter: time.Second}
	}
	if a.of[from] == nil {
		a.of[from] = list.New()
	}
	r := &request{from: from, end: end}
	r.at = a.of[from].PushBack(r)
	a.count++
	return r, nil
}

// makeRoom ends the oldest request of the client that has the most, unless none has more than the one that asks.
func (a *arriving) makeRoom(from any) bool {
	var greatest *list.List
	for _, requests := range a.of {
		if greatest == nil || requests.Len() > greatest.Len() {
			greatest = requests
		}
	}
	if own := a.of[from]; greatest == nil || own != nil && own.Len() >= greatest.Len() {
		return false
	}
	oldest := greatest.Front().Value.(*request)
	a.remove(oldest)
	oldest.end()
	return true
}

// leave may be called more than once.
func (a *arriving) leave(r *request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(r)
}

func (a *arriving) remove(r *request) {
	if r.at == nil {
		return
	}
	requests := a.of[r.from]
	requests.Remove(r.at)
	r.at = nil
	a.count--
	if requests.Len() == 0 {
		delete(a.of, r.from)
	}
}
