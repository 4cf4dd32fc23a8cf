package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hosho/internal/lab/stack"
	"hosho/internal/reconcile"
	"hosho/internal/slow"
)

// A person reconciles a healthy system, and again after somebody has deleted an order's command: as text, as JSON, and
// with a repair, after which there is nothing left to find.
func TestReconcile(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	s := startStack(t)
	output, err := reconcileOnce(t, s)
	agree := strings.HasSuffix(output, "The two databases agree.\n")
	if err != nil || !agree || !strings.Contains(output, "compared 0 orders") {
		t.Errorf("a healthy system: got %v\n%s", err, output)
	}
	s.Relays[0].Kill()
	create, _ := sagactl(t, "order", "create", "600", "--quiet", "--orderd", s.Orderd.Address)
	placed, err := create.Output()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(placed))
	execute(t, s.OrdersURL(), `DELETE FROM outbox`)

	output, err = reconcileOnce(t, s)
	found := strings.Contains(output, "stranded") && strings.Contains(output, id)
	if codeOf(err) != 1 || !found || strings.Contains(output, "\x1b") {
		t.Errorf("a stranded order: got %v\n%s\nwant exit 1, the order, and no colour in a pipe", err, output)
	}
	output, err = reconcileOnce(t, s, "--json", "--repair")
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if codeOf(err) != 1 || len(lines) != 2 {
		t.Fatalf("as JSON: got %v\n%s\nwant exit 1, one finding and the summary", err, output)
	}
	var finding reconcile.Finding
	var end struct{ Summary reconcile.Summary }
	for i, v := range []any{&finding, &end} {
		if err := json.Unmarshal([]byte(lines[i]), v); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
	}
	back := strings.HasPrefix(finding.Repair, "put its CHARGE back")
	if finding.Class != reconcile.Stranded || finding.OrderID != id || !back {
		t.Errorf("got the finding %+v, want %s stranded and its CHARGE put back", finding, id)
	}
	sum := end.Summary
	if sum.Clean || sum.Orders != 1 || sum.PutBack != 1 || sum.Findings[reconcile.Stranded] != 1 {
		t.Errorf("got the summary %+v, want one order, stranded, put back", sum)
	}
	if output, err := reconcileOnce(t, s); err != nil || !strings.Contains(output, "1 of them under way") {
		t.Errorf("after the repair: got %v\n%s\nwant the order under way, and no finding", err, output)
	}
}

func TestReconcileAsksForItsDatabases(t *testing.T) {
	t.Parallel()
	cmd, _ := sagactl(t, "reconcile", "--orders-url", "postgres://127.0.0.1/orders")
	if output, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(output), "--payments-url") {
		t.Errorf("got %v\n%s\nwant it to ask for --payments-url", err, output)
	}
	cmd, _ = sagactl(t, "reconcile", "--orders-url", "postgres://127.0.0.1/orders")
	cmd.Env = append(cmd.Env, "PAYMENTS_DATABASE_URL=") // of a variable that was never set
	output, err := cmd.CombinedOutput()
	if codeOf(err) != 2 || !strings.Contains(string(output), "PAYMENTS_DATABASE_URL) is empty") {
		t.Errorf("got %v\n%s\nwant it to say which is empty", err, output)
	}
	cmd, _ = sagactl(t, "reconcile",
		"--orders-url", "postgres://127.0.0.1:1/orders", "--payments-url", "postgres://127.0.0.1:1/payments")
	output, err = cmd.CombinedOutput()
	if codeOf(err) != 2 || !strings.Contains(string(output), "sagactl: reconcile: ") {
		t.Errorf("got %v\n%s\nwant it to say that it cannot read", err, output)
	}
}

func reconcileOnce(t *testing.T, s *stack.Stack, args ...string) (string, error) {
	t.Helper()
	cmd, _ := sagactl(t, append([]string{"reconcile"}, args...)...)
	cmd.Env = append(cmd.Env, "ORDERS_DATABASE_URL="+s.OrdersURL(), "PAYMENTS_DATABASE_URL="+s.PaymentsURL())
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
