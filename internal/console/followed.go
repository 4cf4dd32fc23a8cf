package console

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"hosho/internal/plain"
)

// followed is a daemon that is listened to, and asked.
type followed struct {
	Daemon

	// Of what it tells.
	told    bool      // it has told something at some time
	first   time.Time // when that was
	process string    // host:pid
	heard   time.Time // when it told or answered something last
	lost    error     // why nothing is heard at present
	since   time.Time // of that

	// Of what it is asked, while somebody looks.
	asked   time.Time // when that was last
	silent  error     // why it did not answer
	unready bool      // it has, and is not ready

	state health
	been  time.Time // so since then, by the console's clock
}

// health is how a daemon does.
type health string

const (
	unknown health = "unknown" // it is about to be found out
	ready   health = "ready"
	unready health = "unready" // it is there, and does not serve
	mute    health = "mute"    // it serves, and tells nothing of what it does
	gone    health = "gone"
)

// Gone reports whether what is known of the daemon is from before.
func (h health) Gone() bool { return h == gone }

const (
	// outOfDate is how old an answer may be: when nobody looks any more, nobody asks.
	outOfDate = 5 * time.Second
	// quiet is for how long a daemon that is well tells nothing at most, twice over.
	quiet = 2 * time.Second
	// reconnects is how long it takes to listen again to a daemon that was away.
	reconnects = 3 * time.Second
)

// health is how a daemon does, from what it told and what it answered.
func (d *followed) health(now time.Time) health {
	asked := now.Sub(d.asked) < outOfDate
	switch {
	case asked && d.silent == nil && d.unready:
		return unready
	case asked && d.silent != nil && now.Sub(d.heard) > quiet: // it may stand still, on a connection that is open
		return gone
	case d.lost == nil && (d.told || asked):
		return ready
	case d.lost == nil:
		return unknown
	case asked && d.silent == nil && now.Sub(d.since) < reconnects:
		return d.state
	case asked && d.silent == nil:
		return mute
	}
	return gone
}

// judge notes how a daemon does.
func (f *feed) judge(now time.Time, d *followed) {
	state := d.health(now)
	if state == d.state {
		return
	}
	if d.state != unknown || state == gone {
		f.board.Daemon(now, d.Service, d.Address, string(state))
	}
	d.state, d.been = state, now
}

// daemonState is how a daemon does, for people.
type daemonState struct {
	Service, Address, Process string
	State                     health
	For                       time.Duration // it has been so
	Since                     time.Time
	Heard                     time.Time // zero: never
	Why                       string    // it is not ready
}

func (d *followed) stateAt(now time.Time) daemonState {
	s := daemonState{
		Service: d.Service, Address: d.Address, Process: d.process, State: d.state,
		For: now.Sub(d.been).Truncate(time.Second), Since: d.been, Heard: d.heard,
	}
	for _, err := range []error{d.lost, d.silent} {
		if err != nil && s.State != ready && s.State != unready {
			s.Why = whyOf(err)
		}
	}
	return s
}

// whyOf is why somebody could not be heard or asked, without what is said around it.
func whyOf(err error) string {
	for within := errors.Unwrap(err); within != nil; within = errors.Unwrap(err) {
		err = within
	}
	message := status.Convert(err).Message()
	if _, cause, ok := strings.Cut(message, ": connect: "); ok {
		message = strings.TrimSuffix(cause, `"`)
	}
	return plain.Text(message)
}
