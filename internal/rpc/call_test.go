package rpc

import (
	"context"
	"testing"
	"testing/synctest"
)

// The context of two calls ends, as when their clients have gone. One has a handler that is still at work: it has its
// place until that ends. Of the other the request never came.
func TestACallHasItsPlaceAsLongAsItsHandlerIsAtWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		places, a := &room{most: 2}, newArriving(1)
		var calls [2]call
		ctx, gone := context.WithCancel(t.Context())
		for n := range calls {
			request, err := a.enter("client", func() {})
			if err != nil {
				t.Fatal(err)
			}
			calls[n].arriving, calls[n].request = a, request
			calls[n].enterRoom(ctx, places)
		}
		if !places.full() {
			t.Error("got room for a third, want none")
		}
		calls[0].came()
		over := calls[0].handled()
		gone()
		synctest.Wait()
		if got := places.taken.Load(); got != 1 || a.count != 0 {
			t.Errorf("got %d places taken and %d requests on their way, want that of the handler alone", got, a.count)
		}
		over()
		calls[1].handled()() // it came to one all the same: what it had was given back
		if got := places.taken.Load(); got != 0 {
			t.Errorf("got %d places taken at the end, want none", got)
		}
	})
}
