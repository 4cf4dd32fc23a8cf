package proxy

import (
	"context"
	"time"
)

// retransmission is how late a lost packet comes: the least timeout that Linux waits for an acknowledgement.
const retransmission = 200 * time.Millisecond

// Link is how bad the links are. Its zero value is healthy. Shares and probabilities are from 0 to 1.
type Link struct {
	// Latency is added to all that passes, each way, and so is a random part of Jitter. Nothing overtakes.
	Latency, Jitter time.Duration
	// Loss is the share of chunks (up to 4 KiB) that come 200 ms late, and with them all that follows, as if a packet
	// had been lost and sent again. To lose one for good is not in the power of a program above TCP.
	Loss float64
	// StallUp and StallDown are blackholes for what the client and what the server sends, the end of the connection
	// included. It arrives when the link heals. A client that connects is accepted and hears nothing; behind StallUp,
	// the server does not hear of it.
	StallUp, StallDown bool
	// Refuse has new connections reset at once.
	Refuse bool
	// ResetWithin has each connection reset after a random number of bytes up to this, both ways together, so that it
	// breaks anywhere. 0 is never.
	ResetWithin int
	// SlowClose is how late the end of what one side sends is passed on to the other.
	SlowClose time.Duration
	// CutBeforeCommit and CutAfterCommit are the probabilities that a connection is reset when its client sends COMMIT
	// as a simple query: right before it reaches the server, or right after the server has answered it and before the
	// client hears. Their sum is at most 1. They have no effect but through ListenPostgres.
	CutBeforeCommit, CutAfterCommit float64
	// Seed is where the random choices come from: the same seed makes the same choices in the same order of events.
	Seed uint64
}

func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link.Refuse
}

// heals waits until the link is not stalled and reports true, or false when ctx ends before.
func (p *Proxy) heals(ctx context.Context, stalled func(Link) bool) bool {
	for {
		p.mu.Lock()
		link, changed := p.link, p.changed
		p.mu.Unlock()
		if !stalled(link) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// delay chooses how long a chunk is on its way. Like all choices, it takes a random number only if it needs one: how
// many chunks there are depends on the system, and must not change the other choices.
func (p *Proxy) delay(end bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.link.Latency
	if p.link.Jitter > 0 {
		d += time.Duration(p.random.Float64() * float64(p.link.Jitter))
	}
	if p.link.Loss > 0 && p.random.Float64() < p.link.Loss {
		d += retransmission
	}
	if end {
		d += p.link.SlowClose
	}
	return d
}

// cut is what befalls a connection at a COMMIT.
type cut int

const (
	uncut cut = iota
	beforeCommit
	afterCommit
)

func (p *Proxy) chooseCut() cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, after := p.link.CutBeforeCommit, p.link.CutAfterCommit
	if before == 0 && after == 0 {
		return uncut
	}
	switch r := p.random.Float64(); {
	case r < before:
		return beforeCommit
	case r < before+after:
		return afterCommit
	}
	return uncut
}
