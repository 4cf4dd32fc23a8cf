package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"hosho/internal/broker"
	"hosho/internal/wait"
)

// many is how much the server hands over ahead of what is asked for: without that, each event is a round trip. It
// counts as given out. Whoever asks for one event at a time is handed no more than that.
const many = broker.MostKept

// consumer is a channel on which the deliveries of a queue come.
type consumer struct {
	*amqp.Channel

	queue  string
	single bool
	tag    string // its name, another each time it begins
	began  int
	closed chan *amqp.Error
	acks   acks
	pump   sync.WaitGroup
	news   wait.Bell

	mu   sync.Mutex
	come []amqp.Delivery // and not yet taken
	over bool            // nothing comes any more
}

func openConsumer(conn *amqp.Connection, queue string, single bool) (*consumer, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	c := &consumer{Channel: ch, queue: queue, news: wait.NewBell()}
	c.closed = ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := c.consume(single); err != nil {
		_ = ch.Close() // most likely it is closed
		return nil, err
	}
	return c, nil
}

// consume begins to take deliveries, one by one or many ahead. A quorum queue gives a consumer with the name of an
// earlier one what that has not acknowledged, once more, and counts it.
func (c *consumer) consume(single bool) error {
	ahead := many
	if single {
		ahead = 1
	}
	if err := c.Qos(ahead, 0, false); err != nil {
		return err
	}
	c.began++
	c.tag = fmt.Sprintf("hosho-%d", c.began)
	deliveries, err := c.Consume(c.queue, c.tag, false, false, false, false, nil)
	if err != nil {
		return err
	}
	c.single = single
	c.pump.Go(func() {
		for d := range deliveries {
			c.mu.Lock()
			c.come = append(c.come, d)
			c.mu.Unlock()
			c.news.Ring()
		}
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		c.news.Ring()
	})
	return nil
}

// change goes on in the other way. What has come stays.
func (c *consumer) change(single bool) error {
	if err := c.Cancel(c.tag, false); err != nil {
		return err
	}
	c.pump.Wait()
	c.mu.Lock()
	c.over = false
	c.mu.Unlock()
	return c.consume(single)
}

// ended returns why nothing comes any more; nil: something may.
func (c *consumer) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		return nil
	}
	select {
	case err := <-c.closed:
		if err != nil {
			return err
		}
	default:
	}
	return errors.New("the server has ended the consumer")
}

// take returns up to n deliveries that have come, and waits for the first until ctx ends, or nothing comes any more.
func (c *consumer) take(ctx context.Context, n int) []amqp.Delivery {
	for {
		c.mu.Lock()
		n := min(n, len(c.come))
		taken, over := c.come[:n:n], c.over
		if c.come = c.come[n:]; len(c.come) == 0 {
			c.come = nil
		}
		c.mu.Unlock()
		if n > 0 || over || ctx.Err() != nil {
			return taken
		}
		select {
		case <-ctx.Done():
		case <-c.news:
		}
	}
}

// acks tells a server what is done, of a channel whose deliveries are numbered from one.
type acks struct {
	mu   sync.Mutex
	low  uint64              // all up to it are acknowledged
	done map[uint64]struct{} // acknowledged beyond it
}

// settle acknowledges deliveries: with one word all those up to which there is no gap, and else each. The server wants
// that word about one that was not acknowledged before.
func (a *acks) settle(ch *amqp.Channel, tags []uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = map[uint64]struct{}{}
	}
	for _, t := range tags {
		a.done[t] = struct{}{}
	}
	for {
		if _, is := a.done[a.low+1]; !is {
			break
		}
		a.low++
		delete(a.done, a.low)
	}
	var upTo uint64
	for _, t := range tags {
		if t > a.low {
			_ = ch.Ack(t, false) // where it does not arrive, it is given out again
			continue
		}
		upTo = max(upTo, t)
	}
	if upTo > 0 {
		_ = ch.Ack(upTo, true)
	}
}
