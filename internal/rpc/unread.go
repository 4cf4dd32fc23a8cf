package rpc

import (
	"errors"
	"time"

	"hosho/internal/crew"
)

// UnreadTimeout is how long one Send of a stream may stand. A client that is slow takes a little of what is sent again
// and again, and is waited for; one that takes nothing for so long is not there any more, or never was.
const UnreadTimeout = 10 * time.Second

// ErrRepliesUnread ends a stream whose client does not read what it is sent.
var ErrRepliesUnread = errors.New("the replies were not read")

// SendWithin sends one message of a stream by send, and returns what that returns, or ErrRepliesUnread when it has
// stood for the timeout. Then send is still at it: nothing may be sent any more, and it returns when the handler does.
func SendWithin(timeout time.Duration, send func() error) error {
	sent := make(chan error, 1)
	crew.Go(func() { sent <- send() })
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-sent:
		return err
	case <-timer.C:
		return ErrRepliesUnread
	}
}
