package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/follow"
	"hosho/internal/plain"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

// orderChange is a change of an order's status, as a daemon told it.
type orderChange struct {
	daemon string
	event  *eventv1.Event
}

// order is the order as it is then, as far as the event says.
func (c orderChange) order() *orderv1.Order {
	e := c.event.GetOrder()
	return &orderv1.Order{
		OrderId: e.GetOrderId(), Total: e.GetAmount(), Status: e.GetTo(), CancelReason: e.GetCancelReason(),
		UpdateTime: c.event.GetCreateTime(),
	}
}

// all is what everybody tells who changes orders: orderd, and each relay.
type all struct {
	since time.Time
	lines *follow.Order[orderChange]
	stop  context.CancelCauseFunc
}

// lately is how long ago what is told first has happened: whoever begins to look has just done something.
const lately = 10 * time.Second

// watchAll tells each change of any order, from a little earlier on until ctx ends. Who cannot be seen is told of, and
// does not keep it from going on with the others.
func watchAll(ctx context.Context, w *watch, tell func(orderChange)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a := all{since: time.Now().Add(-lately), lines: follow.NewOrder(tell), stop: stop}
	var watching sync.WaitGroup
	defer watching.Wait()
	look := lookUp(net.DefaultResolver.LookupNetIP).each
	for _, address := range look(ctx, w.Orderd) {
		if err := a.follow(ctx, &watching, story.Orderd, address, w.orderd.as()); err != nil {
			return err
		}
	}
	for _, name := range w.Relay {
		for _, address := range look(ctx, name) {
			if err := a.follow(ctx, &watching, story.Relay, address, w.relay.as()); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (a all) follow(
	ctx context.Context, watching *sync.WaitGroup, service, address string, as grpc.DialOption,
) error {
	conn, err := reach(service, address, as)
	if err != nil {
		return err
	}
	seen := &seen{all: a, service: service, address: address}
	watching.Go(func() { follow.Follow(ctx, conn, true, seen.hear) })
	return nil
}

// seen is what is seen of a daemon.
type seen struct {
	all

	service, address string
	lost             bool
}

// hear has changes told, and says what cannot be seen.
func (s *seen) hear(n follow.News) {
	switch {
	case n.Err != nil:
		s.lose(n.Err)
		return
	case n.Missed == follow.Unknown:
		s.say("was started again: some changes may be missing before this")
	case n.Missed > 0:
		s.say(fmt.Sprintf("%d events are missing before this", n.Missed))
	case s.lost:
		s.say("is seen again")
	}
	s.lost = false
	for _, e := range n.Events {
		if at := e.GetCreateTime().AsTime(); e.GetOrder() != nil && at.After(s.since) {
			s.lines.Add(at, orderChange{n.Daemon, e})
		}
	}
}

// lose says why a daemon is not seen, and ends all where that will not change.
func (s *seen) lose(err error) {
	if errors.Is(err, follow.ErrSilent) {
		s.say(err.Error())
	} else {
		err = inWords(s.service, s.address, err)
		switch status.Code(err) {
		case codes.PermissionDenied, codes.Unimplemented:
			s.stop(err)
			return
		}
		fmt.Fprintf(os.Stderr, "sagactl: %v; what it does is not seen\n", err)
	}
	s.lost = true
}

func (s *seen) say(what string) {
	fmt.Fprintf(os.Stderr, "sagactl: %s at %s: %s\n", s.service, s.address, plain.Text(what))
}

// changePrinter prints changes.
type changePrinter struct {
	screen *terminal.Terminal
	json   bool
}

func (p changePrinter) print(c orderChange) {
	if p.json {
		p.screen.Line("%s", c.encode())
		return
	}
	o := c.order()
	p.screen.Line("%s  %s  %s  %s  %s",
		p.screen.Paint(terminal.Dim, clock(o.GetUpdateTime().AsTime().Local(), time.Now())), o.GetOrderId(),
		paintState(p.screen, o), story.Amount(o.GetTotal()), c.event.GetOrder().GetCause())
}

// encode is the order as watch prints one, and what has happened, as JSON.
func (c orderChange) encode() []byte {
	object := map[string]json.RawMessage{}
	text, err := protojson.Marshal(c.order())
	if err == nil {
		err = json.Unmarshal(text, &object)
	}
	for name, value := range map[string]string{
		"daemon": c.daemon, "cause": c.event.GetOrder().GetCause(), "traceId": c.event.GetTraceId(),
	} {
		if value != "" && err == nil {
			object[name], err = json.Marshal(value)
		}
	}
	if err == nil {
		text, err = json.Marshal(object)
	}
	if err != nil {
		panic(fmt.Sprintf("encode an event: %v", err)) // texts and numbers of a message that was decoded
	}
	return text
}
