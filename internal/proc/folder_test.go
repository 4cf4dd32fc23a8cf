package proc_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/proc"
)

// leaveIn is set in the environment of a test binary that is to make a folder, start a child and be killed, to where.
const leaveIn = "HOSHO_TEST_LEAVE_IN"

func TestMain(m *testing.M) {
	if parent := os.Getenv(leaveIn); parent != "" {
		leave(parent)
	}
	os.Exit(m.Run())
}

// leave starts a child that lives until its input ends.
func leave(parent string) {
	folder, err := proc.NewFolder(parent, "test")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	child := exec.Command("cat")
	child.Stdin = os.Stdin
	if err := child.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(folder.Path())
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// What a killed program leaves behind, the next one of its kind removes: when the last of its children is gone, and
// never what somebody uses, or keeps, or has made by hand.
func TestAFolderThatWasLeftIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), `o[d* "name'`)
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	inUse, kept, another := folder(t, parent, "test"), folder(t, parent, "test"), folder(t, parent, "other")
	if err := kept.Keep(); err != nil {
		t.Fatal(err)
	}
	byHand := filepath.Join(parent, "hosho-test-1")
	if err := os.Mkdir(byHand, 0o755); err != nil {
		t.Fatal(err)
	}
	left, endChild := left(t, parent)

	folder(t, parent, "test")
	if !isThere(left) {
		t.Error("a folder whose maker was killed, and a child of that one not, is gone")
	}
	endChild()
	for deadline := time.Now().Add(10 * time.Second); isThere(left); {
		if folder(t, parent, "test"); time.Now().After(deadline) {
			t.Fatal("a folder that was left is still there")
		}
	}
	for _, path := range []string{inUse.Path(), kept.Path(), another.Path(), byHand} {
		if !isThere(path) {
			t.Errorf("%s was not left, and is gone", filepath.Base(path))
		}
	}
}

// left returns a folder whose maker was killed, and ends that one's child.
func left(t *testing.T, parent string) (path string, endChild func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), leaveIn+"="+parent)
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
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if path = strings.TrimSpace(line); err != nil || !isThere(path) {
		t.Fatalf("got %q, %v; want a folder", line, err)
	}
	if _, err := cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	return path, func() { stdin.Close() }
}

func TestWhatCannotBeRemovedIsNoReasonToDoWithout(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	_, endChild := left(t, parent)
	endChild()
	if err := os.WriteFile(filepath.Join(parent, "hosho-test-2"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(parent, "hosho-test-3")); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(parent, "hosho-test-4")
	if err := errors.Join(os.Mkdir(fifo, 0o755), syscall.Mkfifo(filepath.Join(fifo, ".running"), 0o644)); err != nil {
		t.Fatal(err)
	}
	folder(t, parent, "test")
}

// Wherever TMPDIR points, the folder's name is a whole one, or the error says what to change.
func TestATemporaryFolderIsNamedFromTheRoot(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("here", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", "here")
	if f := folder(t, "", "test"); !filepath.IsAbs(f.Path()) || !isThere(f.Path()) {
		t.Errorf("got %s, want a path from the root", f.Path())
	}
	t.Setenv("TMPDIR", "nowhere")
	if _, err := proc.NewFolder("", "test"); err == nil || !strings.Contains(err.Error(), "TMPDIR says where") {
		t.Errorf("got %v, want an error that says what to change", err)
	}
}

func folder(t *testing.T, parent, kind string) *proc.Folder {
	t.Helper()
	f, err := proc.NewFolder(parent, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
