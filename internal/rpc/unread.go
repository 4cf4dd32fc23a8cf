package rpc

import (
	"context"
	"errors"
	"time"
)

// UnreadTimeout is how long one Send of a stream may stand. A client that is slow takes a little of what is sent again
// and again, and is waited for; one that takes nothing for so long is not there any more, or never was.
const UnreadTimeout = 10 * time.Second

// ErrRepliesUnread ends a stream whose client does not read what it is sent.
var ErrRepliesUnread = errors.New("the replies were not read")

// SendWithin sends one message of the stream of that context by send, and returns what that returns, or
// ErrRepliesUnread when it has stood for the timeout. Then the stream is ended, and nothing may be sent any more.
func SendWithin(stream context.Context, timeout time.Duration, send func() error) error {
	end := callOf(stream).end
	if end == nil { // it came in at no door
		return send()
	}
	timer := time.AfterFunc(timeout, func() { end(ErrRepliesUnread) })
	err := send()
	if !timer.Stop() {
		return ErrRepliesUnread
	}
	return err
}

// Stream returns the context of a stream that SendWithin can end. Each that comes in at the door has one: this is for
// who calls a handler by himself, as a test does.
func Stream(ctx context.Context) context.Context {
	c := &call{arrived: time.Now()}
	ctx, c.end = context.WithCancelCause(ctx)
	return context.WithValue(ctx, callKey{}, c)
}
