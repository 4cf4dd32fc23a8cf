package main

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/rpc"
)

// event is something to be told of an order of a stream.
type event struct {
	*sequenced
	kind    eventKind
	order   order.Order         // as it is acknowledged
	refusal *orderv1.OrderError // why it is refused
}

type eventKind int

const (
	acknowledged eventKind = iota
	settled
	refused
)

// put queues an event; conversation.mu is held. There are no more of them than requests are held and settlements waited
// for, so that it never waits.
func (c *conversation) put(e event) {
	if !c.gone {
		c.events = append(c.events, e)
		c.news.Ring()
	}
}

// maxReply is how large a message of events gets, in bytes, unless a single one is larger. What a client does not read
// stays in a buffer of gRPC's, which has 32 KiB for a message of this size and 1 MiB for one that is larger.
const maxReply = 31 << 10

// eventFrame is what an event costs in its message besides its own bytes: its tag and its length.
const eventFrame = 4

// send sends all events that there are.
func (c *conversation) send() error {
	c.mu.Lock()
	events := c.events
	c.events = nil
	c.mu.Unlock()
	response, size, from := &orderv1.CreateOrdersResponse{}, 0, 0
	for n, e := range events {
		message := toEvent(e)
		more := proto.Size(message) + eventFrame
		if size > 0 && size+more > maxReply {
			if err := c.sendOne(response, events[from:n]); err != nil {
				return err
			}
			response, size, from = &orderv1.CreateOrdersResponse{}, 0, n
		}
		response.Events = append(response.Events, message)
		size += more
	}
	if size == 0 {
		return nil
	}
	return c.sendOne(response, events[from:])
}

// sendOne sends a message, and makes room for what its events held.
func (c *conversation) sendOne(response *orderv1.CreateOrdersResponse, events []event) error {
	err := rpc.SendWithin(c.unreadTimeout, func() error { return c.stream.Send(response) })
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
			delete(c.watched, e.sequenced)
		}
	}
	c.taken.Ring()
	return nil
}

func toEvent(e event) *orderv1.OrderEvent {
	out := &orderv1.OrderEvent{Sequence: e.sequence}
	switch e.kind {
	case acknowledged:
		out.Outcome = &orderv1.OrderEvent_Acknowledged{Acknowledged: toOrder(e.order)}
	case settled:
		out.Outcome = &orderv1.OrderEvent_Settled{Settled: &orderv1.OrderSettled{
			OrderId: e.settled.ID, Status: toStatusOf(*e.settled), CancelReason: toReason(*e.settled),
			UpdateTime: timestamppb.New(e.settled.UpdatedAt),
		}}
	case refused:
		out.Outcome = &orderv1.OrderEvent_Refused{Refused: e.refusal}
	}
	return out
}

// longestError bounds what a line tells of an error, in bytes: a small order can break many rules.
const longestError = 1 << 10

// record writes the line of an order that is refused: whoever reads the log sees the cause, and the client the code.
// They may come by the thousand: the first of a kind has a line, and the others a common one.
func (c *conversation) record(ctx context.Context, refusal *orderv1.OrderError, err error) {
	if !tells(c.refusals, refusal) {
		return
	}
	c.log.LogAttrs(ctx, severity(refusal), "order refused", slog.String("code", codeName(refusal)),
		slog.String("reason", refusal.GetReason()), slog.String("error", rpc.Brief(err.Error(), longestError)))
}
