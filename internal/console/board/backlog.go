package board

import (
	"slices"
	"time"

	eventv1 "hosho/gen/event/v1"
	relayv1 "hosho/gen/relay/v1"
)

// Kind is the backlog of a kind of command, the largest that a relay has counted: they all count one outbox.
type Kind struct {
	Kind                 relayv1.ParkedCommand_Kind
	Due, Waiting, Parked int64
	Oldest               time.Duration // the age of the oldest command; 0 where there is none
}

// All is how many commands there are.
func (k Kind) All() int64 { return k.Due + k.Waiting + k.Parked }

// Breaker is whether a relay takes the payment service to be down for a kind of command.
type Breaker struct {
	Address string // of the relay
	Kind    relayv1.ParkedCommand_Kind
	Open    bool
	Since   time.Time // by the relay's clock, or by the console's if it was seen and not told
	Code    string    // what its latest delivery came to, as far as that is known; empty when it is closed
}

// counted is what a relay has counted.
type counted struct {
	at    time.Time
	kinds []*relayv1.KindBacklog
}

// outdated is how much older than the newest a count may be: relays that are away do not count any more.
const outdated = 3 * time.Second

// Backlog takes in what a relay counts, which is at an address.
func (b *Board) Backlog(now time.Time, address string, backlog *relayv1.GetBacklogResponse) {
	b.forget(now)
	b.outbox.backlogs[address] = counted{now, backlog.GetKinds()}
	for _, k := range backlog.GetKinds() {
		breaker := b.outbox.breaker(address, k.GetKind())
		switch opened := k.GetBreakerOpenTime(); {
		case opened != nil:
			breaker.Open, breaker.Since, breaker.Code = true, opened.AsTime(), k.GetLastCode()
		case breaker.Open != k.GetBreakerOpen(): // the relay is of an earlier release, or it was closed
			breaker.Open, breaker.Since, breaker.Code = k.GetBreakerOpen(), now, ""
		}
	}
}

// switched takes in that a breaker was opened or closed.
func (b *Board) switched(at time.Time, address string, change *eventv1.BreakerChange) {
	breaker := b.outbox.breaker(address, change.GetKind())
	breaker.Open, breaker.Since, breaker.Code = change.GetOpen(), at, change.GetCode()
}

// breaker returns that of a relay for a kind, which is closed unless something else was told.
func (o *outbox) breaker(address string, kind relayv1.ParkedCommand_Kind) *Breaker {
	i := slices.IndexFunc(o.breakers, func(b Breaker) bool { return b.Address == address && b.Kind == kind })
	if i < 0 {
		i = len(o.breakers)
		o.breakers = append(o.breakers, Breaker{Address: address, Kind: kind})
	}
	return &o.breakers[i]
}

// kinds is the backlog by kind, and when it was counted last.
func (o *outbox) kinds() (kinds []Kind, at time.Time) {
	for _, c := range o.backlogs {
		if c.at.After(at) {
			at = c.at
		}
	}
	kinds = []Kind{{Kind: relayv1.ParkedCommand_KIND_CHARGE}, {Kind: relayv1.ParkedCommand_KIND_VOID}}
	for _, c := range o.backlogs {
		if at.Sub(c.at) > outdated {
			continue
		}
		for _, k := range c.kinds {
			i := slices.IndexFunc(kinds, func(known Kind) bool { return known.Kind == k.GetKind() })
			if i < 0 {
				continue
			}
			known := &kinds[i]
			if all := k.GetDue() + k.GetWaiting() + k.GetParked(); all >= known.All() {
				known.Due, known.Waiting, known.Parked = k.GetDue(), k.GetWaiting(), k.GetParked()
			}
			known.Oldest = max(known.Oldest, k.GetOldestAge().AsDuration().Round(100*time.Millisecond))
		}
	}
	return kinds, at
}
