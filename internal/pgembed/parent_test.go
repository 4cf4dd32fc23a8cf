package pgembed_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"strings"
	"testing"

	"hosho/internal/pgembed"
)

// parentOf is set in the environment of a test binary that is to start a server and nothing else, to the server's
// directory.
const parentOf = "HOSHO_TEST_PARENT_OF"

// temporary instead lets the server make its own.
const temporary = "temporary"

// beParent starts a server and waits for its own end.
func beParent(dir string) {
	if dir == temporary {
		dir = ""
	}
	s, err := pgembed.Start(context.Background(), pgembed.Config{Dir: dir, Durable: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.URL("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Stop(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parent runs this test binary as beParent, and returns it when its server answers.
func parent(t *testing.T, dir string) *osexec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(self)
	cmd.Env = append(os.Environ(), parentOf+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // an error where the test killed it
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("the parent answered %q, %v", line, err)
	}
	return cmd
}
