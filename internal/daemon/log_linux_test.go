package daemon_test

import (
	"os"
	"testing"
)

// The log is a file on a disk that is full.
func TestAFullDiskHangsNoCall(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := newTalker(t, full, "--talk=on")
	reply := c.call(1000)
	for reply.Dropped < 1000 { // which the writer finds out in its own time
		reply = c.call(1)
	}
	c.stop()
}
