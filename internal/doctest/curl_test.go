package doctest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The documentation speaks of the JSON door as it is on most machines.
const (
	doorHost = "localhost"
	doorPort = "8000"
)

// curlrc has curl itself find the door where this system has it, and say no more than it says on a terminal: nothing of
// its progress.
const curlrc = `silent
show-error
connect-to = "%s:%s:%s:%s"
`

// provideCurl makes a $CURL_HOME, whose settings lead to the door.
func provideCurl(t *testing.T, dir, door string) {
	t.Helper()
	host, port, err := net.SplitHostPort(door)
	if err != nil {
		t.Fatalf("sagactl up said ORDERD_HTTP=%s: %v", door, err)
	}
	text := fmt.Sprintf(curlrc, doorHost, doorPort, host, port)
	if err := os.WriteFile(filepath.Join(dir, ".curlrc"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantCurl fails a test where there is no curl that does what the pages ask of it.
func wantCurl(t *testing.T) {
	t.Helper()
	if output, err := exec.Command("curl", "--disable", "--json", "{}", "--version").CombinedOutput(); err != nil {
		t.Fatalf("want curl 7.82 or newer, which has --json: `make curl` installs it: %v\n%s", err, output)
	}
}
