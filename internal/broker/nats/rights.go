package nats

import (
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// refusedFor is how long what the server did not let this user do explains what comes to nothing. By then it is tried
// again, and refused again unless somebody has given the right.
const refusedFor = 10 * time.Second

// acknowledging is in each refusal of an acknowledgement, whose subjects begin so.
const acknowledging = "$JS.ACK."

// subscribing is in each refusal of a subscription. It is told once, and holds as long as the connection: no answer
// comes on it.
const subscribing = " for Subscription to "

// refusal is what a server did not let a user do. It says so beside, and what it was asked it does not answer.
type refusal struct {
	why error
	at  time.Time
}

// told takes what the client tells those who ask for nothing.
func (b *Broker) told(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		b.refusal.Store(&refusal{err, time.Now()})
	}
}

// refused returns what the server did not let this user do last, if that was of late and about such a subject.
func (b *Broker) refused(subject string) error {
	latest := b.refusal.Load()
	if latest == nil {
		return nil
	}
	said := latest.why.Error()
	lasts := strings.Contains(said, subscribing) || time.Since(latest.at) < refusedFor
	if !lasts || !strings.Contains(said, subject) {
		return nil
	}
	return latest.why
}
