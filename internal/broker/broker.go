// Package broker is what the saga needs of a message broker, whichever it is: events that are published and confirmed,
// and events that are given out again until they are done.
//
// Its promise: what Publish returns no error for was confirmed by the broker, as durably as it is set up to. That is a
// hint and no outcome, since brokers lose what they confirmed. What is fetched is given out again, to this process or
// to another, until Done says that it is dealt with; how often it comes, and in which order, nobody promises.
package broker

import (
	"context"
	"fmt"
	"time"
)

// Event is a CloudEvent 1.0 as it lies on a broker: its attributes are headers there (binary mode), its data the body.
type Event struct {
	Topic string // where it is published; of one that was fetched, where it came from

	ID          string // the fact: the same on each resend of it
	Source      string // who says so
	Type        string // what Data is: the full name of a message of events.v1
	Subject     string // what it is about, an order's id: the key that the broker may order or place it by
	Time        time.Time
	Traceparent string // W3C trace context; empty: nobody traces it
	ContentType string
	Data        []byte

	// Reason says why the event was set aside; of dead letters only.
	Reason string
	// Came are all headers that it came with, as texts, but for its content type and the broker's own; nil: it is made
	// here. A dead letter keeps them.
	Came []Header
	// Send tells sends of the same fact apart, for brokers that drop what they take for a duplicate.
	Send int32
	// Given is how often the event was given out before to somebody who did not say what became of it, as far as the
	// broker counts that. 0: this is the first time.
	Given int
	// Fault says why the headers are not those of a CloudEvent 1.0; nil: they are. Data is what came, all the same.
	Fault error
}

// Broker is a connection to a broker, for any number of goroutines. It connects by itself, again and again.
type Broker interface {
	// Publish puts events on their topics and returns an error for each that the broker did not confirm before ctx
	// ended, at the place of the event; it may be there all the same. All are sent before the first is waited for.
	Publish(ctx context.Context, events []Event) []error
	// Subscribe gives out what is on a topic to one of a group, each event to one of them at a time. It returns at
	// once; the subscription connects by itself. Close ends it.
	Subscribe(topic, group string) Subscription
	// Declare makes the topics of a plan, and the queues or consumers of their groups, or brings them to what it says
	// where that loses nothing. It returns what Check would.
	Declare(ctx context.Context, plan Plan) ([]Promise, error)
	// Check tells what the topics of a plan can promise, in the order of the plan. Topics that are missing are an error
	// that names them all, a Flaw; with it comes what the others promise.
	Check(ctx context.Context, plan Plan) ([]Promise, error)
	// Away says, in short, why there is no connection at present; nil where there is one.
	Away() error
	// Close ends the connection, and all subscriptions.
	Close()
}

// Subscription is a group's way to a topic.
type Subscription interface {
	// Fetch waits until there are events, and returns up to n that are there. It returns an error when ctx ends, or
	// while the broker cannot be had: what it says is for the log, and the caller tries again after a moment.
	Fetch(ctx context.Context, n int) (Batch, error)
	// Close gives back what is not done.
	Close()
}

// Batch is events that were fetched together.
type Batch struct {
	Events []Event
	// Done says what became of each, at the place of the event. What is dealt with (true) is not given out again, but
	// for a failure in between. What is not (false) is kept, and Fetch gives it out again after KeepFor: to the broker
	// it is neither refused nor dead, so that nothing counts against it. It must be called once.
	Done func(ok []bool)
}

const (
	// KeepFor is how long an event is kept that somebody could not deal with yet.
	KeepFor = 200 * time.Millisecond
	// MostKept is how many events of a subscription are kept before it fetches nothing new.
	MostKept = 1000
)

// Flaw is an error about a topic on a broker that is there: it is missing, or not as it must be. Time does not mend it;
// a person does, and the error tells how.
type Flaw struct {
	Err     error
	missing bool // of the topic, or of a part of it: the others may be looked at
}

func (f *Flaw) Error() string { return f.Err.Error() }
func (f *Flaw) Unwrap() error { return f.Err }

// Flawed returns the Flaw that a text tells of, as fmt.Errorf has it.
func Flawed(format string, args ...any) error { return &Flaw{Err: fmt.Errorf(format, args...)} }

// Missing returns the Flaw that a topic, or a part of it, is not there.
func Missing(format string, args ...any) error { return &Flaw{fmt.Errorf(format, args...), true} }

// Plan is the topics of the saga.
type Plan struct {
	Topics    []Topic
	Retention time.Duration // how long what is on a topic is there at least
	Replicas  int           // of each topic, where the broker is a cluster
}

// Topic is one of them.
type Topic struct {
	Name   string
	Groups []string // who subscribes to it; none: only people look at it
}

// Promise is what a topic can promise.
type Promise struct {
	Topic string
	Facts []string // in words, for people: "replicas 1", "acknowledged before it is on disk"
	// Otherwise is what the plan asks for and the topic has not, in words: "asked for replicas 3, has 1: ...".
	Otherwise []string
	// Unsafe are settings by which a broker may lose what it confirmed, and what that costs.
	Unsafe []string
}

// The topics and groups of the saga. A prefix tells environments apart that share a broker.
const (
	orders      = ".orders"
	payments    = ".payments"
	deadLetters = ".dlq"

	// Paymentd is the group that decides what order events ask for.
	Paymentd = "paymentd"
	// Relay is the group that applies payment events to orders.
	Relay = "relay"
)

// Orders returns the topic of order events.
func Orders(prefix string) string { return prefix + orders }

// Payments returns the topic of payment events.
func Payments(prefix string) string { return prefix + payments }

// DeadLetters returns the topic of what could not be read on a topic.
func DeadLetters(topic string) string { return topic + deadLetters }

// MinRetention is the least that a topic must keep: a resend may come as late.
const MinRetention = time.Hour

// PlanOf returns the topics of a prefix.
func PlanOf(prefix string, retention time.Duration, replicas int) (Plan, error) {
	if retention < MinRetention {
		return Plan{}, fmt.Errorf("retention: got %v, want at least %v", retention, MinRetention)
	}
	return Plan{
		Retention: retention, Replicas: replicas,
		Topics: []Topic{
			{Name: Orders(prefix), Groups: []string{Paymentd}},
			{Name: DeadLetters(Orders(prefix))},
			{Name: Payments(prefix), Groups: []string{Relay}},
			{Name: DeadLetters(Payments(prefix))},
		},
	}, nil
}
