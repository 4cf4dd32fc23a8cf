package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"hosho/internal/broker"
	"hosho/internal/wait"
)

const (
	// partitions is how many members of a group may have something to do at a time.
	partitions = 12

	retention = "retention.ms"
	inSync    = "min.insync.replicas"
	unclean   = "unclean.leader.election.enable"
)

// Declare is broker.Broker's.
func (b *Broker) Declare(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	for _, topic := range plan.Topics {
		err := b.declare(ctx, plan, topic)
		if errors.Is(err, kerr.InvalidReplicationFactor) {
			return nil, broker.Flawed("topic %s: Kafka at %s does not set it up with %d replicas (%w): ask for fewer "+
				"(--replicas), or have more servers", topic.Name, b.addresses, plan.Replicas, err)
		}
		if err != nil {
			return nil, b.explained(err, topic.Name)
		}
	}
	for { // every server is told of it after a moment
		promises, err := b.Check(ctx, plan)
		if err == nil || !kerr.IsRetriable(err) || !wait.For(ctx, retryFirst) {
			return promises, err
		}
	}
}

// declare makes a topic, or has it keep for as long as a plan says.
func (b *Broker) declare(ctx context.Context, plan broker.Plan, topic broker.Topic) error {
	n := int32(partitions)
	if len(topic.Groups) == 0 {
		n = 1
	}
	keep := strconv.FormatInt(plan.Retention.Milliseconds(), 10)
	least := strconv.Itoa(max(plan.Replicas-1, 1)) // one may be away
	_, err := b.admin.CreateTopic(ctx, n, int16(plan.Replicas), map[string]*string{
		retention: &keep, inSync: &least,
	}, topic.Name)
	if !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	settings, err := b.settings(ctx, topic.Name)
	if err != nil {
		return err
	}
	if kept, ok := settings.kept(); !ok || kept >= plan.Retention {
		return nil
	}
	answers, err := b.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: retention, Value: &keep}}, topic.Name)
	if err == nil {
		_, err = answers.On(topic.Name, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	return err
}

// Check is broker.Broker's.
func (b *Broker) Check(ctx context.Context, plan broker.Plan) ([]broker.Promise, error) {
	return plan.Each(func(topic broker.Topic) (broker.Promise, error) {
		promise, err := b.check(ctx, plan, topic.Name)
		if err != nil {
			return promise, b.explained(err, topic.Name)
		}
		for _, group := range topic.Groups {
			waiting, err := b.waiting(ctx, topic.Name, group)
			if err != nil {
				unknown := fmt.Sprintf("group %s: how many events wait is not known (%v)", group, err)
				promise.Facts = append(promise.Facts, unknown)
				continue
			}
			promise.Facts = append(promise.Facts, broker.Waiting(group, waiting))
		}
		return promise, nil
	})
}

// waiting returns how many events of a topic a group has not dealt with.
func (b *Broker) waiting(ctx context.Context, topic, group string) (n int64, err error) {
	first, err := b.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return 0, err
	}
	end, err := b.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = end.Error()
	}
	if err != nil {
		return 0, err
	}
	done, err := b.committedBy(ctx, groupOf(topic, group))
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // nobody has ever been in it
		return 0, err
	}
	end.Each(func(o kadm.ListedOffset) {
		from := int64(0)
		if at, ok := first.Lookup(topic, o.Partition); ok {
			from = at.Offset
		}
		if at, ok := done.Lookup(topic, o.Partition); ok {
			from = max(from, at.At)
		}
		n += o.Offset - from
	})
	return n, nil
}

// committedBy returns what a group has committed. A server is not ready for groups until somebody has asked.
func (b *Broker) committedBy(ctx context.Context, group string) (kadm.OffsetResponses, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	for {
		done, err := b.admin.FetchOffsets(ctx, group)
		if err == nil {
			err = done.Error()
		}
		if err == nil || !kerr.IsRetriable(err) || !wait.For(ctx, retryFirst) {
			return done, err
		}
	}
}

func (b *Broker) check(ctx context.Context, plan broker.Plan, topic string) (broker.Promise, error) {
	cost := broker.CostOf(topic)
	topics, err := b.admin.ListTopics(ctx, topic)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return broker.Promise{}, err
	}
	for _, partition := range topics[topic].Partitions {
		if partition.Err != nil {
			return broker.Promise{}, fmt.Errorf("partition %d: %w", partition.Partition, partition.Err)
		}
	}
	replicas := topics[topic].Partitions.NumReplicas()
	p := broker.Promise{Topic: topic, Facts: []string{
		fmt.Sprintf("Kafka, %d partitions, replicas %d, acks=all", len(topics[topic].Partitions), replicas),
	}}
	if replicas != plan.Replicas {
		p.AskedFor("replicas", plan.Replicas, replicas, "sagactl broker setup moves nothing that is there, "+
			"kafka-reassign-partitions does")
	}
	if replicas < 2 {
		p.Unsafe = append(p.Unsafe, "one server has it: with its disk goes what it confirmed"+cost)
	}
	settings, err := b.settings(ctx, topic)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		p.Facts = append(p.Facts, "how it is set up, this user is not told")
		return p, nil
	}
	if err != nil {
		return broker.Promise{}, err
	}
	if kept, ok := settings.kept(); ok {
		p.Facts = append(p.Facts, fmt.Sprintf("kept for %v", kept))
		if kept > plan.Retention {
			p.AskedFor("retention", plan.Retention, kept, "sagactl broker setup shortens none")
		}
		if kept < plan.Retention {
			p.Unsafe = append(p.Unsafe, fmt.Sprintf("what nobody has fetched for %v is dropped, want %v%s", kept,
				plan.Retention, cost))
		}
	}
	p.Facts = append(p.Facts, inSync+" "+settings[inSync])
	if settings[inSync] == "1" {
		p.Unsafe = append(p.Unsafe, inSync+" 1: while the others are away, it is confirmed when one server has it in "+
			"memory"+cost)
	}
	if settings[unclean] == "true" {
		p.Unsafe = append(p.Unsafe, unclean+": a server that has missed some may lead"+cost)
	}
	return p, nil
}

// settings are a topic's, by name.
type settings map[string]string

func (b *Broker) settings(ctx context.Context, topic string) (settings, error) {
	all, err := b.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	of, err := all.On(topic, func(r *kadm.ResourceConfig) error { return r.Err })
	if err != nil {
		return nil, err
	}
	s := settings{}
	for _, c := range of.Configs {
		s[c.Key] = c.MaybeValue()
	}
	return s, nil
}

// kept returns for how long, false: for ever.
func (s settings) kept() (time.Duration, bool) {
	ms, err := strconv.ParseInt(s[retention], 10, 64)
	return time.Duration(ms) * time.Millisecond, err == nil && ms >= 0
}
