package main

import (
	"context"
	"log/slog"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rpc"
)

// event is something to be told of an order of a stream.
type event struct {
	*sequenced
	kind eventKind
	size int // of its bytes in the message
}

type eventKind int

const (
	acknowledged eventKind = iota
	settled
	refused
)

// bundle is events with their bytes, one after the other: as a message is its parts in a row, any of them that follow
// each other are one.
type bundle struct {
	events []event
	bytes  wire
}

// mostKept is how many bytes of a bundle are kept for the next one, and mostEventsKept how many events.
const (
	mostKept       = 64 << 10
	mostEventsKept = 1 << 10
)

// emptied is a bundle for the next events, with the room of this one unless that was large.
func (b bundle) emptied() bundle {
	if cap(b.bytes) > mostKept || cap(b.events) > mostEventsKept {
		return bundle{}
	}
	clear(b.events) // whose orders are not held any longer
	return bundle{b.events[:0], b.bytes[:0]}
}

// put queues an event, which encode appends; conversation.mu is held. There are no more of them than requests are held
// and settlements waited for, so that it never waits.
func (c *conversation) put(i *sequenced, kind eventKind, encode func(wire) wire) {
	if c.gone {
		return
	}
	before := len(c.waiting.bytes)
	c.waiting.bytes = encode(c.waiting.bytes)
	c.waiting.events = append(c.waiting.events, event{i, kind, len(c.waiting.bytes) - before})
	c.news.Ring()
}

// maxReply is how large a message of events gets, in bytes, unless a single one is larger. What a client does not read
// stays in a buffer of gRPC's, which has 32 KiB for a message of this size and 1 MiB for one that is larger.
const maxReply = 31 << 10

// send sends all events that there are.
func (c *conversation) send() error {
	c.mu.Lock()
	b := c.waiting
	c.waiting = c.sent
	c.mu.Unlock()
	for events, bytes := b.events, b.bytes; len(events) > 0; {
		n, size := 1, events[0].size
		for n < len(events) && size+events[n].size <= maxReply {
			size += events[n].size
			n++
		}
		if err := c.sendOne(rpc.Lent(bytes[:size]), events[:n]); err != nil {
			return err
		}
		events, bytes = events[n:], bytes[size:]
	}
	c.sent = b.emptied()
	return nil
}

// sendOne sends a message, and makes room for what its events held.
func (c *conversation) sendOne(message rpc.Lent, events []event) error {
	err := rpc.SendWithin(c.unreadTimeout, func() error { return c.stream.SendMsg(message) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if e.kind != settled {
			c.untaken -= e.bytes
			c.unanswered--
		}
		if e.tells && e.kind != acknowledged {
			c.unsettled--
			e.leave()
		}
	}
	c.taken.Ring()
	return nil
}

// longestError bounds what a line tells of an error, in bytes: a small order can break many rules.
const longestError = 1 << 10

// record writes the line of an order that is refused: whoever reads the log sees the cause, and the client the code.
// They may come by the thousand: the first of a kind has a line, and the others a common one.
func (c *conversation) record(ctx context.Context, refusal *orderv1.OrderError, err error) {
	if !tells(ctx, c.refusals, refusal) {
		return
	}
	c.log.LogAttrs(ctx, severity(refusal), "order refused", slog.String("code", codeName(refusal)),
		slog.String("reason", refusal.GetReason()), slog.String("error", rpc.Brief(err.Error(), longestError)))
}
