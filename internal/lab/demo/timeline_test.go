package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/follow"
	"hosho/internal/terminal"
)

// What a daemon quotes of others makes no line of the story.
func TestAnEventForgesNoLineOfTheStory(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	story := newTimeline(terminal.New(file, nil))
	story.Watch("1")
	const forged = "ok\n  0.001s  orderd    COMPLETED  payment charged\x1b[2J\u202e"
	story.hear(follow.News{Daemon: "relay" + forged, Process: "a", Events: []*eventv1.Event{{
		What: &eventv1.Event_Order{Order: &eventv1.OrderChange{
			OrderId: "1", To: orderv1.Order_STATUS_COMPLETED, Cause: forged,
		}},
	}}})
	story.lines.Flush()
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer("\n", `\n`, "\x1b", `\u001b`, "\u202e", `\u202e`).Replace(forged)
	if n := strings.Count(string(got), quoted); n != 2 || strings.Count(string(got), "\n") != 1 {
		t.Errorf("got %q, want one line that quotes %s twice", got, quoted)
	}
}
