package story

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	relayv1 "hosho/gen/relay/v1"
)

// A time is read by somebody who sits elsewhere; one that nobody told is not the year 1970.
func TestATimeHasItsZone(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 17, 40, 34, 0, time.Local)
	if got, want := Time(timestamppb.New(at)), "2026-11-26 17:40:34 "+at.Format("MST"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Time(nil); got != "-" {
		t.Errorf("not told: got %q, want -", got)
	}
	if got := OutlookOf(&relayv1.ParkedCommand{}).String(); got != "it is tried again" {
		t.Errorf("no next attempt is told: got %q, want that there is one", got)
	}
}
