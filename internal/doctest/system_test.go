package doctest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/proc"
)

const startTimeout = 2 * time.Minute // building included

// system is what `sagactl up` runs.
type system struct {
	data   string // $DATA
	bin    string // with grpcurl, and the settings of curl
	path   string // PATH, with that
	groups []int  // process groups of pages that left something running
}

func start(t *testing.T) *system {
	t.Helper()
	wantCurl(t)
	dir, err := os.MkdirTemp("", "hosho-doc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	provideGrpcurl(t, dir)
	up := exec.Command(build(t, dir), "up", "--free-ports")
	up.Dir = root
	stdout, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	up.Stderr = &stderr
	child, err := proc.Start(up, syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{bin: dir, path: dir + string(os.PathListSeparator) + os.Getenv("PATH")}
	t.Cleanup(func() {
		s.sweep()
		child.Signal(syscall.SIGTERM)
		if err := child.Err(); err != nil {
			t.Errorf("sagactl up: %v\n%s", err, stderr.String())
		}
	})
	late := time.AfterFunc(startTimeout, func() { child.Signal(syscall.SIGTERM) })
	defer late.Stop()
	places := untilReady(stdout)
	if s.data = places["DATA"]; s.data == "" {
		t.Fatalf("sagactl up did not get ready:\n%s", stderr.String())
	}
	provideCurl(t, dir, places["ORDERD_HTTP"])
	return s
}

// build builds sagactl into a folder, and returns its name.
func build(t *testing.T, dir string) string {
	t.Helper()
	if err := stack.BuildCommand(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "sagactl")
}

// untilReady returns where everything is, by its variable: nothing when the system ends before it is ready. What
// follows is its last line.
func untilReady(stdout io.Reader) map[string]string {
	places := map[string]string{}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), "="); found {
			places[name] = value
		}
		if lines.Text() == "ready" {
			return places
		}
	}
	return nil
}

// provideGrpcurl puts a grpcurl into a folder: this program, or with HOSHO_GRPCURL=real the real one.
func provideGrpcurl(t *testing.T, dir string) {
	t.Helper()
	if os.Getenv("HOSHO_GRPCURL") == "real" {
		install := exec.Command("go", "install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4")
		install.Env = append(os.Environ(), "GOBIN="+dir)
		if output, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install grpcurl: %v\n%s", err, output)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "grpcurl")); err != nil {
		t.Fatal(err)
	}
}

// sweep ends what pages left running.
func (s *system) sweep() {
	for _, group := range s.groups {
		syscall.Kill(-group, syscall.SIGKILL)
	}
}
