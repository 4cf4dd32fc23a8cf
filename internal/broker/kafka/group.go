package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"hosho/internal/wait"
)

// commitWithin bounds one commit.
const commitWithin = 5 * time.Second

// assigned is called with what is committed of partitions that are this member's from now on.
func (s *source) assigned(_ context.Context, _ *kgo.Client, said *kmsg.OffsetFetchResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range said.Topics { // there is one
		for _, p := range topic.Partitions {
			l := &ledger{partition: p.Partition, low: p.Offset, done: map[int64]bool{}}
			if p.Metadata != nil {
				l.left = countOf(*p.Metadata)
			}
			l.said, _ = l.saying(l.left)
			s.ledgers[p.Partition] = l
		}
	}
	return nil
}

// revoked is called while partitions are still this member's. What is not done of them is given back.
func (s *source) revoked(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
	of := func(l *ledger) bool { return slices.Contains(partitions[s.topic], l.partition) }
	s.mu.Lock()
	for _, l := range s.ledgers {
		if of(l) {
			l.forget()
		}
	}
	s.mu.Unlock()
	_ = s.commitBy(client) // uncommitted, what is done is given out once more
	s.forget(of)
}

// lost is called when partitions are another's already.
func (s *source) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.forget(func(l *ledger) bool { return slices.Contains(partitions[s.topic], l.partition) })
}

// forget has nothing left of partitions.
func (s *source) forget(gone func(*ledger) bool) {
	s.mu.Lock()
	for p, l := range s.ledgers {
		if gone(l) {
			delete(s.ledgers, p)
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(r *kgo.Record) bool { return s.ledgers[r.Partition] == nil })
	s.mu.Unlock()
	s.shelf.Drop(func(d delivery) bool { return gone(d.of) })
	s.news.Ring()
}

// commitAll commits what is done, as much at once as has come together meanwhile.
func (s *source) commitAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.commits:
		}
		if err := s.commit(); err != nil && wait.For(ctx, retryFirst) {
			s.commits.Ring()
		}
	}
}

// commit has the group know what is done, and what is given out.
func (s *source) commit() error {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return nil
	}
	return s.commitBy(client)
}

func (s *source) commitBy(client *kgo.Client) error {
	s.committing.Lock()
	defer s.committing.Unlock()
	offsets, counts, texts := s.toCommit()
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitWithin)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for i := range request.Topics {
			for j := range request.Topics[i].Partitions {
				p := &request.Topics[i].Partitions[j]
				text := counts[p.Partition].String()
				p.Metadata = &text
			}
		}
		return nil
	})
	var failed error
	client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err == nil {
				failed = s.committed(answer, texts)
			}
		})
	return failed
}

// toCommit returns what is not committed yet, by partition: the offset of the first event that is not done, the count,
// and both as a ledger remembers them.
func (s *source) toCommit() (map[int32]kgo.EpochOffset, map[int32]count, map[int32]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offsets, counts, texts := map[int32]kgo.EpochOffset{}, map[int32]count{}, map[int32]string{}
	for p, l := range s.ledgers {
		c := l.now()
		if text, news := l.saying(c); news {
			offsets[p], counts[p], texts[p] = kgo.EpochOffset{Epoch: -1, Offset: l.low}, c, text
		}
	}
	return offsets, counts, texts
}

// committed notes what was.
func (s *source) committed(answer *kmsg.OffsetCommitResponse, texts map[int32]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range answer.Topics { // there is one
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
			if l := s.ledgers[p.Partition]; l != nil {
				l.said = texts[p.Partition]
			}
		}
	}
	return nil
}
