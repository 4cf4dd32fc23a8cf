package main

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

// up prints where everything is, says ready last, and stops on SIGTERM.
func TestUpSaysWhereEverythingIs(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "up", "--free-ports")
	ready := &watcher{want: "\nready\n", found: make(chan struct{})}
	cmd.Stdout = ready
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	select {
	case <-ready.found:
	case err := <-exited:
		t.Fatalf("ended before it was ready: %v\n%s", err, ready.text())
	case <-ctx.Done():
		t.Fatalf("not ready:\n%s", ready.text())
	}
	for _, name := range []string{"ORDERD", "PAYMENTD", "RELAY", "ORDERS_DATABASE_URL", "PAYMENTS_DATABASE_URL", "DATA"} {
		if !strings.Contains("\n"+ready.text(), "\n"+name+"=") {
			t.Errorf("got\n%s\nwant a line %s=", ready.text(), name)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGTERM, want exit code 0", err)
	}
	leavesNothing(t, tmp)
}
