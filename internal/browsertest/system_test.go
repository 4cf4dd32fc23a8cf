package browsertest

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// programs is the folder with sagactl and the daemons, built once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hosho-browser-")
	if err != nil {
		return "", err
	}
	built = dir
	return dir, errors.Join(stack.Build(context.Background(), dir), stack.BuildCommand(context.Background(), dir))
})

// built is what programs has made, for TestMain to remove.
var built string

// system is all daemons, and a console that looks at them.
type system struct {
	*stack.Stack
	t      *testing.T
	orders orderv1.OrderServiceClient
}

// start runs a system for the length of a test.
func start(t *testing.T, options ...func(*stack.Config)) system {
	t.Helper()
	slow.Test(t, "runs the whole system and a browser")
	bin, err := programs()
	must(t, err)
	dir := folder(t)
	config := stack.Config{Bin: bin, Dir: dir, Relays: 1, Simulate: stack.Simulate, Roles: true}
	for _, option := range options {
		option(&config)
	}
	running, err := stack.Start(t.Context(), config)
	must(t, err)
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := running.Dial(running.Orderd, "shop")
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return system{running, t, orderv1.NewOrderServiceClient(conn)}
}

// folder is one for the length of a test, into which others may look: databases may run as another user.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
	return dir
}

// order places an order of some yen, and returns its id.
func (s system) order(amount int64, customer string) string {
	s.t.Helper()
	reply, err := s.orders.CreateOrder(s.t.Context(), &orderv1.CreateOrderRequest{
		CustomerId: customer, CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: amount}},
	})
	must(s.t, err)
	return reply.GetOrder().GetOrderId()
}

// settled waits until an order is COMPLETED or CANCELLED.
func (s system) settled(id string) {
	s.t.Helper()
	watch, err := s.orders.WatchOrder(s.t.Context(), &orderv1.WatchOrderRequest{OrderId: id})
	for err == nil {
		_, err = watch.Recv()
	}
	if !strings.Contains(err.Error(), "EOF") {
		s.t.Fatal(err)
	}
}

// console runs `sagactl console` beside the system, and returns its address as a person is given it.
func (s system) console(args ...string) string {
	s.t.Helper()
	relays := make([]string, len(s.Relays))
	for i, r := range s.Relays {
		relays[i] = r.Address
	}
	return printed(s.t, "CONSOLE", append([]string{
		"console", "--listen", "127.0.0.1:0", "--orderd", s.Orderd.Address, "--paymentd", s.Paymentd.Address,
		"--relay", strings.Join(relays, ","),
	}, args...)...)
}

// printed runs sagactl for the length of a test, and returns what it prints after a name and an equals sign.
func printed(t *testing.T, name string, args ...string) string {
	t.Helper()
	bin, err := programs()
	must(t, err)
	cmd := exec.Command(filepath.Join(bin, "sagactl"), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+folder(t))
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		_ = cmd.Wait()                       // with 130, as Ctrl-C has it
	})
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+"="); found {
			go func() {
				for lines.Scan() { // so that it can go on printing
				}
			}()
			return strings.Trim(value, `'"`)
		}
	}
	_ = cmd.Wait()
	t.Fatalf("sagactl %s ended before it printed %s=:\n%s", strings.Join(args, " "), name, said.String())
	return ""
}
