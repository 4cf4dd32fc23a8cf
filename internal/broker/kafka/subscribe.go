package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"hosho/internal/broker"
	"hosho/internal/broker/shelf"
	"hosho/internal/wait"
)

const (
	// sessionFor is how long a member of a group says nothing until it is taken for dead, and its partitions are
	// others': the least that a server lets it have, unless it is set up otherwise (group.min.session.timeout.ms). One
	// that dies while it waits to be taken in is taken in all the same, and holds the others up once more.
	sessionFor = 6 * time.Second
	// beatEvery is how often it says something, and so how soon it hears that there are others.
	beatEvery = time.Second
	// fetchFor is how long the server waits for something new.
	fetchFor = time.Second
	// lookEvery is how often it is looked whether the topic is there, while nothing comes.
	lookEvery = 3 * time.Second
)

// delivery is what an event is known by.
type delivery struct {
	of     *ledger
	offset int64
}

// source is a member of a group. The group leaves it when it may: what is given out of a partition that is another's by
// then is given out again there.
type source struct {
	b            *Broker
	topic, group string
	shelf        *shelf.Subscription[delivery]
	news         wait.Bell // something was done
	commits      wait.Bell // something is to be committed
	stop         context.CancelFunc
	running      sync.WaitGroup

	client *kgo.Client // nil: to be made
	looked time.Time   // when the topic was there
	id     kadm.TopicID

	committing sync.Mutex
	mu         sync.Mutex
	ledgers    map[int32]*ledger // of the partitions that are this member's
	waiting    []*kgo.Record     // fetched and not given out
}

// Subscribe is broker.Broker's.
func (b *Broker) Subscribe(topic, group string) broker.Subscription {
	s := &source{
		b: b, topic: topic, group: groupOf(topic, group), news: wait.NewBell(), commits: wait.NewBell(),
		ledgers: map[int32]*ledger{},
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.shelf = shelf.New[delivery](s)
	s.running.Go(func() { s.commitAll(ctx) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscriptions = append(b.subscriptions, s.shelf)
	return s.shelf
}

// groupOf returns the name of a group, which has one topic.
func groupOf(topic, group string) string { return topic + "." + group }

// join makes the client.
func (s *source) join() (*kgo.Client, error) {
	return kgo.NewClient(append(s.b.options(), kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(fetchFor),
		kgo.SessionTimeout(sessionFor), kgo.HeartbeatInterval(beatEvery), kgo.RebalanceTimeout(sessionFor),
		kgo.OnOffsetsFetched(s.assigned), kgo.OnPartitionsRevoked(s.revoked), kgo.OnPartitionsLost(s.lost))...)
}

// Pull is shelf.Source's.
func (s *source) Pull(ctx context.Context, n int) ([]shelf.Item[delivery], error) {
	for {
		err := s.ready(ctx)
		if err == nil {
			err = s.poll(ctx, n)
		}
		items := s.give(n)
		if len(items) > 0 {
			_ = s.commit() // not said, it is not counted, which happens only while the group changes
			return items, nil
		}
		if err != nil || ctx.Err() != nil {
			return nil, s.b.explained(err, s.topic)
		}
	}
}

// ready sees to it that there is a client, and from time to time that there is something to fetch from.
func (s *source) ready(ctx context.Context) error {
	if time.Since(s.looked) > lookEvery {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialWithin)
		defer cancel()
		topics, err := s.b.admin.ListTopics(ctx, s.topic)
		if err == nil {
			err = topics.Error()
		}
		if id := topics[s.topic].ID; isGone(err) || err == nil && id != s.id {
			s.leave() // one that was made anew is another one
			s.id = id
		}
		if err != nil {
			return err
		}
		s.looked = time.Now()
	}
	if s.client != nil {
		return nil
	}
	client, err := s.join()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
	return nil
}

// leave ends the client.
func (s *source) leave() {
	if s.client == nil {
		return
	}
	s.client.CloseAllowingRebalance()
	s.forget(func(*ledger) bool { return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = nil
}

// poll fetches up to n events to those that wait. It waits for the first while none does, or for one to be done while
// those that wait may not be given out.
func (s *source) poll(ctx context.Context, n int) error {
	waiting, may := s.lookAt()
	switch {
	case waiting > 0 && !may:
		select {
		case <-ctx.Done():
		case <-s.news:
		}
		return nil
	case waiting >= n:
		return nil
	}
	var within context.Context // nil: what is there
	if waiting == 0 && ctx.Err() == nil {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, lookEvery)
		defer cancel()
	}
	fetches := s.client.PollRecords(within, n-waiting)
	defer s.client.AllowRebalance()
	s.mu.Lock()
	defer s.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		s.looked = time.Now()
		if s.ledgers[r.Partition] != nil {
			s.waiting = append(s.waiting, r)
		}
	})
	var errs []error
	fetches.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

// lookAt returns how many wait, and whether one of them may be given out.
func (s *source) lookAt() (waiting int, may bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), slices.ContainsFunc(s.waiting, func(r *kgo.Record) bool {
		return s.ledgers[r.Partition].may(r.Offset)
	})
}

// give gives out up to n of those that wait and may be.
func (s *source) give(n int) (items []shelf.Item[delivery]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []*kgo.Record
	held := map[int32]bool{} // an earlier one of the partition stays
	for _, r := range s.waiting {
		l := s.ledgers[r.Partition]
		if len(items) == n || held[r.Partition] || !l.may(r.Offset) {
			held[r.Partition] = true
			left = append(left, r)
			continue
		}
		e := eventOf(r)
		e.Given = l.given(r.Offset)
		l.give(r.Offset)
		items = append(items, shelf.Item[delivery]{Event: e, Message: delivery{l, r.Offset}})
	}
	s.waiting = left
	return items
}

// Settle is shelf.Source's.
func (s *source) Settle(done []delivery) {
	s.mu.Lock()
	for _, d := range done {
		if s.ledgers[d.of.partition] == d.of && d.of.has(d.offset) { // else it is another's by now
			d.of.settle(d.offset)
		}
	}
	s.mu.Unlock()
	s.news.Ring()
	s.commits.Ring()
}

// Close is shelf.Source's. The client leaves the group, which commits what is done.
func (s *source) Close([]delivery) {
	s.leave()
	s.stop()
	s.running.Wait()
}
