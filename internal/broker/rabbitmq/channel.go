package rabbitmq

import (
	"context"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// channel is one that confirms, for one batch at a time: what comes back comes before its confirmation, and so is here
// when that is.
type channel struct {
	*amqp.Channel

	conn    *amqp.Connection
	room    int // for what comes back
	returns chan amqp.Return
	closed  chan *amqp.Error
	reason  error // for which it was closed
}

// leastRoom is that of channels which are used again.
const leastRoom = 1024

func openChannel(conn *amqp.Connection, room int) (*channel, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	room = max(room, leastRoom)
	c := &channel{Channel: ch, conn: conn, room: room}
	c.returns = ch.NotifyReturn(make(chan amqp.Return, room))
	c.closed = ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return nil, err
	}
	return c, nil
}

// why returns the reason for which an event was not confirmed.
func (c *channel) why() error {
	select {
	case err := <-c.closed:
		if err != nil {
			c.reason = err
		}
	default:
	}
	if c.reason == nil {
		return amqp.ErrClosed // or the server has no room for it, which it says in no other way
	}
	return c.reason
}

// returned returns what came back since it was asked last, with the server's word, by the ids of the messages.
func (c *channel) returned() map[string]string {
	var all map[string]string
	for {
		select {
		case r, open := <-c.returns:
			if !open {
				return all
			}
			if all == nil {
				all = map[string]string{}
			}
			all[r.MessageId] = r.ReplyText
		default:
			return all
		}
	}
}

// channels are those that nobody uses.
type channels struct {
	mu   sync.Mutex
	idle []*channel
}

// mostIdle is how many are kept.
const mostIdle = 8

// take returns a channel with room for so many messages to come back.
func (c *channels) take(ctx context.Context, from *link, room int) (*channel, error) {
	conn, err := from.get(ctx)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	for len(c.idle) > 0 && room <= leastRoom {
		last := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		if !last.IsClosed() {
			c.mu.Unlock()
			return last, nil
		}
	}
	c.mu.Unlock()
	return within(ctx, func() (*channel, error) { return openChannel(conn, room) })
}

// within waits for what the server is asked, which has no end of its own, no longer than a context lasts. A channel
// that comes too late is closed.
func within[C interface{ Close() error }](ctx context.Context, ask func() (C, error)) (C, error) {
	type answer struct {
		channel C
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		c, err := ask()
		answers <- answer{c, err}
	}()
	select {
	case a := <-answers:
		return a.channel, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				_ = a.channel.Close() // nobody knows of it
			}
		}()
		var none C
		return none, ctx.Err()
	}
}

// giveBack keeps a channel on which nothing is under way any more.
func (c *channels) giveBack(ch *channel, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if whole && !ch.IsClosed() && ch.room == leastRoom && len(c.idle) < mostIdle {
		c.idle = append(c.idle, ch)
		return
	}
	go func() { _ = ch.Close() }() // it waits for the server, and nobody for it
}
