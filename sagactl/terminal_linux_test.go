package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs a command on a terminal of its own, and returns what that shows, and the command's code. It reports
// whether it can do so on this system.
func onTerminal(t *testing.T, cmd *exec.Cmd) (output string, code int, possible bool) {
	t.Helper()
	screen, terminal := openTerminal(t)
	defer screen.Close()
	cmd.Stdout, cmd.Stderr = terminal, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	text, _ := io.ReadAll(screen) // ends with an error when nobody has the terminal any more
	return strings.ReplaceAll(string(text), "\r\n", "\n"), codeOf(cmd.Wait()), true
}

// openTerminal makes a terminal, and returns it and the end at which its output is read.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}
