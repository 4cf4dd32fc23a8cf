package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Building is what a person is told who waits for Build.
const Building = "building orderd, paymentd and relay: the first time it takes about a minute"

// Build builds the daemons from the source tree that the current folder is in, into the folder bin. The flags are those
// of go build.
func Build(ctx context.Context, bin string, flags ...string) error {
	root, err := SourceRoot(ctx)
	if err != nil {
		return err
	}
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", bin + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./orderd", "./paymentd", "./relay")...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the daemons: %w\n%s", err, output)
	}
	return nil
}

// SourceRoot returns the folder of the source tree that the current folder is in.
func SourceRoot(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	file := strings.TrimSpace(string(output))
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "module hosho\n") {
		return "", errors.New("the daemons are built from source: run this inside a clone of hosho")
	}
	return filepath.Dir(file), nil
}
