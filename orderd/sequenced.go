package main

import (
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/policy"
)

// sequenced is an order of a stream, and who hears what becomes of it.
type sequenced struct {
	*conversation

	sequence    int64
	bytes       int64          // of its request, about
	tells       bool           // its end is asked for
	traceparent string         // that it goes on under
	span        oteltrace.Span // nil: it is not traced

	// Guarded by conversation.mu once the order is being placed.
	id           string // of the order
	acknowledged bool
	how          *order.Order // it ended, when that is known before it is acknowledged
	place        int          // in conversation.watched, from 1 on; 0: it is not there
}

// begin has the orders of a request placed. They are, whatever becomes of the stream: they were read.
func (c *conversation) begin(orders []*orderv1.SequencedOrder, bytes int64) {
	c.handling.Lock()
	defer c.handling.Unlock()
	share, unasked := bytes/int64(len(orders)), 0
	all, news := make([]placing, 0, len(orders)), make([]orderdb.NewOrder, len(orders))
	for n, sent := range orders {
		i := &sequenced{conversation: c, sequence: sent.GetSequence(), bytes: share, tells: sent.GetTellSettled()}
		if n == 0 {
			i.bytes += bytes % int64(len(orders))
		}
		if !i.tells {
			unasked++
		}
		i.beginSpan()
		wanted, err := fromSequenced(sent.GetOrder(), c.deadline, i.traceparent)
		if err == nil {
			err = policy.Name(c.stream.Context(), wanted.CustomerID)
		}
		if err != nil {
			c.room.placing.Release(1)
			i.refuse(c.metrics.unplaced(err))
			continue
		}
		i.id, news[n] = wanted.ID, wanted
		if i.tells && !c.gone {
			c.attend(i)
		}
		all = append(all, placing{order: &news[n], who: i})
	}
	c.creator.add(all...)
	c.release(0, 0, unasked)
}

// attend has an order's item hear how its order ends, before it is placed.
func (c *conversation) attend(i *sequenced) {
	c.mu.Lock()
	c.watched = append(c.watched, i)
	i.place = len(c.watched)
	c.mu.Unlock()
	c.hub.expect(i.id, i)
}

// leave has the conversation attend an item no more, if it does; conversation.mu is held.
func (i *sequenced) leave() {
	if i.place == 0 {
		return
	}
	last := i.watched[len(i.watched)-1]
	i.watched[i.place-1], last.place = last, i.place
	i.watched[len(i.watched)-1] = nil
	i.watched = i.watched[:len(i.watched)-1]
	i.place = 0
}

// placed is told by the creator what came of placing the order.
func (i *sequenced) placed(o order.Order, fresh bool, err error) {
	i.room.placing.Release(1)
	switch {
	case err != nil:
		if i.tells {
			i.hub.forget(i.id, i)
		}
		i.refuse(err)
		return
	case fresh:
		i.tell(i.stream.Context(), o, accepting, i.traceparent)
	case i.tells:
		i.follow(o)
	}
	i.endSpan(o, !fresh)
	i.acknowledge(o)
}

// follow has an item hear of an order that the same request made before, in place of the one that it did not make.
func (i *sequenced) follow(o order.Order) {
	i.hub.forget(i.id, i)
	if o.Status.Settled() {
		i.ends(o)
		return
	}
	i.hub.watch(o.ID, i, false)
	i.mu.Lock()
	gone := i.gone
	i.id = o.ID
	i.mu.Unlock()
	if gone { // the conversation has forgotten the other one
		i.hub.forget(o.ID, i)
	}
}

// heard is told by the hub. What it cannot tell now it will tell later.
func (i *sequenced) heard(n news) (enough bool) {
	if n.err != nil || !n.order.Status.Settled() {
		return false
	}
	i.ends(n.order)
	return true
}

// ends notes how the order ended. That is told after its acknowledgement.
func (i *sequenced) ends(o order.Order) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.acknowledged {
		i.put(i, settled, func(w wire) wire { return w.settled(i.sequence, o) })
		return
	}
	how := o
	i.how = &how
}

func (i *sequenced) acknowledge(o order.Order) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.acknowledged = true
	i.put(i, acknowledged, func(w wire) wire { return w.acknowledged(i.sequence, o) })
	if i.how != nil {
		i.put(i, settled, func(w wire) wire { return w.settled(i.sequence, *i.how) })
	}
}

func (i *sequenced) refuse(err error) {
	i.endSpanRefused(err)
	refusal := toOrderError(err)
	i.record(i.stream.Context(), refusal, err)
	message, failed := proto.Marshal(&orderv1.CreateOrdersResponse{Events: []*orderv1.OrderEvent{
		{Sequence: i.sequence, Outcome: &orderv1.OrderEvent_Refused{Refused: refusal}},
	}})
	if failed != nil { // none of ours: their texts are plain
		i.breakOff(failed)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.put(i, refused, func(w wire) wire { return append(w, message...) })
}
