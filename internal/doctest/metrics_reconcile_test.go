package doctest

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/proc"
)

// startReconcile starts the command that goes on comparing a system's databases, and returns where its metrics are once
// it has compared them.
func startReconcile(t *testing.T, s *stack.Stack, bin string) (address string) {
	t.Helper()
	if err := stack.BuildCommand(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	port, err := proc.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address = proc.Address(port)
	cmd := exec.Command(filepath.Join(bin, "sagactl"), "reconcile", "--every", "1m", "--listen", address)
	cmd.Env = proc.Environment("ORDERS_DATABASE_URL="+s.OrdersURL(), "PAYMENTS_DATABASE_URL="+s.PaymentsURL())
	cmd.Stderr = os.Stderr
	child, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Signal(syscall.SIGTERM)
		<-child.Exited()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !isReady(ctx, address) {
		select {
		case <-child.Exited():
			t.Fatalf("sagactl reconcile: %v", child.Err())
		case <-ctx.Done():
			t.Fatal("sagactl reconcile has compared nothing in a minute")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return address
}

func isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = reply.Body.Close() // its status is all that is wanted
	return reply.StatusCode == http.StatusOK
}
