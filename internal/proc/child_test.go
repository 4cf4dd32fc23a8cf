package proc_test

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"hosho/internal/proc"
)

func TestAChildEndsByASignalOfItsParent(t *testing.T) {
	t.Parallel()
	child, err := proc.Start(exec.Command("sleep", "1000"), syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-child.Exited():
		t.Fatalf("it ended by itself: %v", child.Err())
	default:
	}
	if group, err := syscall.Getpgid(child.Pid()); err != nil || group != child.Pid() {
		t.Errorf("got process group %d, %v; want one of its own, %d", group, err, child.Pid())
	}
	child.Signal(syscall.SIGTERM)
	<-child.Exited()
	var exit *exec.ExitError
	if err := child.Err(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want it ended by SIGTERM", err)
	}
	child.Signal(syscall.SIGTERM) // has nobody to go to
}

func TestAProgramThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := proc.Start(exec.Command("/no/such/program"), syscall.SIGKILL); err == nil {
		t.Error("got no error, want one")
	}
}
