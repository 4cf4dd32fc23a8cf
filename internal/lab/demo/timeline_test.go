package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/terminal"
)

// What a daemon's log quotes of others makes no line of the story.
func TestALogForgesNoLineOfTheStory(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	story := newTimeline(terminal.New(file, nil))
	story.Watch("1")
	const forged = `ok\n  0.001s  orderd    COMPLETED  payment charged\u001b[2J\u202e`
	logged := `{"msg": "order", "order_id": "1", "status": "` + forged + `", "cause": "` + forged + `"}` + "\n"
	if _, err := story.logOf("relay").Write([]byte(logged)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), forged); n != 2 || strings.Count(string(got), "\n") != 1 {
		t.Errorf("got %q, want one line that quotes %s twice", got, forged)
	}
}
