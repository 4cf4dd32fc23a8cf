package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	relayv1 "hosho/gen/relay/v1"
)

// All relays read one outbox, so the first one's counts are everybody's; but each has breakers of its own.
func TestMergeTellsWhichRelaysHoldBack(t *testing.T) {
	t.Parallel()
	backlog := func(relay string, due int64, chargesOpen bool) *relayv1.GetBacklogResponse {
		age := durationpb.New(1234567 * time.Microsecond)
		return &relayv1.GetBacklogResponse{Relay: relay, Kinds: []*relayv1.KindBacklog{
			{Kind: relayv1.ParkedCommand_KIND_CHARGE, Due: due, OldestAge: age, BreakerOpen: chargesOpen},
			{Kind: relayv1.ParkedCommand_KIND_VOID, Waiting: 1},
		}}
	}
	got := merge([]*relayv1.GetBacklogResponse{
		nil, backlog("a:1", 7, true), backlog("b:1", 8, false), {Relay: "of an older version"}, backlog("c:1", 9, true),
	})
	want := []kindState{
		{Kind: "CHARGE", Due: 7, Oldest: "1.235s", Open: []string{"a:1", "c:1"}},
		{Kind: "VOID", Waiting: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}
