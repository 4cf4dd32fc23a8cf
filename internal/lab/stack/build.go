package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Building is what a person is told who waits for Build.
const Building = "building orderd, paymentd and relay: the first time it takes about a minute"

// daemons are the programs that a stack runs.
var daemons = []string{"orderd", "paymentd", "relay"}

// Build builds the daemons from the source tree that the current folder is in, into the folder bin. The flags are those
// of go build.
func Build(ctx context.Context, bin string, flags ...string) error {
	return build(ctx, bin, daemons, flags)
}

// BuildCommand builds sagactl likewise.
func BuildCommand(ctx context.Context, bin string) error {
	return build(ctx, bin, []string{"sagactl"}, nil)
}

func build(ctx context.Context, bin string, programs, flags []string) error {
	root, err := SourceRoot()
	if err != nil {
		return err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if taken, err := takeBuilt(root, bin, programs, flags); taken || err != nil {
		return err
	}
	args := append([]string{"-o", bin + string(filepath.Separator)}, flags...)
	for _, program := range programs {
		args = append(args, "./"+program)
	}
	cmd := goBuild(ctx, args...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(programs, ", "), err, output)
	}
	return nil
}

// checkPrograms tells that a folder's daemons cannot be run, as where it is mounted noexec.
func checkPrograms(bin string) error {
	for _, daemon := range daemons {
		file := filepath.Join(bin, daemon)
		err := unix.Access(file, unix.X_OK)
		if errors.Is(err, unix.EACCES) {
			return fmt.Errorf("%s may not be run (%w): give TMPDIR a folder that is not mounted noexec", file, err)
		}
		if err != nil {
			return fmt.Errorf("%s cannot be run: %w", file, err)
		}
	}
	return nil
}

// endOfBuild is how long an interrupted build is given to take its own files away.
const endOfBuild = 10 * time.Second

// goBuild returns the command go build, for programs of the source tree, wherever that is: also below a workspace that
// knows nothing of it, and where git does not tell its commit, as in somebody else's clone, or in an archive. What is
// built so says that it is (devel).
func goBuild(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-mod=readonly"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GO111MODULE=on")
	if dir, err := filepath.Abs(os.TempDir()); err == nil {
		cmd.Env = append(cmd.Env, "TMPDIR="+dir) // a relative one would be another folder to it
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endOfBuild
	return cmd
}

// SourceRoot returns the folder of the source tree that the current folder is in.
func SourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if isSourceRoot(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the daemons are built from source: run this inside a clone of hosho")
		}
	}
}

func isSourceRoot(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if strings.Join(strings.Fields(line), " ") == "module hosho" {
			return true
		}
	}
	return false
}
