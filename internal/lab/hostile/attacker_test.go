package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"hosho/internal/lab/hostile"
	"hosho/internal/proc"
)

// assignment is the variable that makes this test's program an attacker: an attack's name, and an address.
const assignment = "HOSHO_TEST_ATTACK"

// attack is what the attacker's process does until it is killed.
func attack(assigned string) int {
	name, address, _ := strings.Cut(assigned, " ")
	for _, a := range append(hostile.All(), nothing) {
		if a.Name == name {
			fmt.Fprintln(os.Stderr, errors.Join(errors.New("the attack ended"), a.Run(context.Background(), address)))
		}
	}
	return 1
}

// begin has another process attack, with less of a right to the processor: an attacker has a machine of his own, and
// what is measured is the daemon. The function that it returns kills it.
func begin(t *testing.T, a hostile.Attack, address string) (end func()) {
	t.Helper()
	cmd := exec.Command("nice", "-n", "5", os.Args[0])
	cmd.Env = append(os.Environ(), assignment+"="+a.Name+" "+address)
	cmd.Stderr = os.Stderr
	attacker, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		select {
		case <-attacker.Exited():
			t.Errorf("%s: the attack is over before its time", a.Name)
		default:
		}
		attacker.Signal(syscall.SIGKILL)
		<-attacker.Exited()
	}
}
