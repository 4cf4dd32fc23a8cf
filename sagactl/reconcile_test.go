package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	orderv1 "hosho/gen/order/v1"
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
	checkOnTerminal(t, s)
}

// checkOnTerminal loses the commands of 25 orders. A terminal shows twenty of them, in colour, and how many more there
// are; a pipe is told all.
func checkOnTerminal(t *testing.T, s *stack.Stack) {
	t.Helper()
	orders := orderv1.NewOrderServiceClient(dial(t, s.Orderd.Address))
	for range 24 { // there is one
		if _, err := orders.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
			CustomerId: "ada", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, s.OrdersURL(), `DELETE FROM outbox`)
	output, err := reconcileOnce(t, s)
	if got := strings.Count(output, "\nstranded "); codeOf(err) != 1 || got != 25 {
		t.Errorf("in a pipe: got %v, %d findings\n%s\nwant exit 1, and 25", err, got, output)
	}
	const red = "\n\x1b[31mstranded "
	output, code, possible := onTerminal(t, reconcileCommand(t, s))
	if !possible {
		return
	}
	if got := strings.Count(output, red); code != 1 || got != 20 || !strings.Contains(output, ": 25, 5 more than") {
		t.Errorf("on a terminal: got %d, %d findings\n%s\nwant 1, 20 of 25, in red", code, got, output)
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
	if codeOf(err) != 2 || !strings.Contains(string(output), "PAYMENTS_DATABASE_URL) is missing") {
		t.Errorf("got %v\n%s\nwant it to say which is missing", err, output)
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
	output, err := reconcileCommand(t, s, args...).CombinedOutput()
	return string(output), err
}

func reconcileCommand(t *testing.T, s *stack.Stack, args ...string) *exec.Cmd {
	t.Helper()
	cmd, _ := sagactl(t, append([]string{"reconcile"}, args...)...)
	cmd.Env = append(cmd.Env, "ORDERS_DATABASE_URL="+s.OrdersURL(), "PAYMENTS_DATABASE_URL="+s.PaymentsURL())
	return cmd
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
