package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/rpc"
	"hosho/internal/slow"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

// Somebody has charged another amount under the key of an order before its own charge came. The order can never be
// paid and never be voided: it is parked, an operator finds it, tries it once more in vain, and settles it by hand.
func TestAnOperatorSettlesAnOrderWhoseKeyIsTaken(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	s := startStack(t)
	orders := orderv1.NewOrderServiceClient(dial(t, s.Orderd.Address))
	s.Relays[0].Kill()
	order := orderWithTakenKey(t, orders, paymentv1.NewPaymentServiceClient(dial(t, s.Paymentd.Address)))
	if err := s.Relays[0].Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Relays[0].WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	askAt := func(relays string, args ...string) (string, error) {
		cmd, _ := sagactl(t, append(args, "--relay", relays)...)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	ask := func(args ...string) (string, error) { // the first relay is down: another one answers for it
		return askAt("127.0.0.1:1,"+s.Relays[0].Address, args...)
	}

	listed := func(output string) bool { return strings.Contains(output, order) }
	awaitOutput(t, ask, listed, "parked")
	if output, err := ask("retry", order, "--operator", "ada", "--reason", "once more"); err != nil {
		t.Errorf("retry: %v\n%s", err, output)
	}
	parkedAgain := func(output string) bool { // and no more under way
		return listed(output) && strings.Contains(output, "  parked  ")
	}
	output := awaitOutput(t, ask, parkedAgain, "parked")
	if !strings.Contains(output, "CHARGE") || !strings.Contains(output, "KEY_REUSED") {
		t.Errorf("parked: got\n%s\nwant the CHARGE and KEY_REUSED", output)
	}
	output, err := askAt(s.Relays[0].Address, "status", "--orderd", s.Orderd.Address, "--paymentd", s.Paymentd.Address)
	if codeOf(err) != 1 || !strings.Contains(output, "Commands need a person: 1 parked.") {
		t.Errorf("status: got %v\n%s\nwant exit 1, and one command that is parked", err, output)
	}
	explain := func(flags ...string) (string, error) {
		addresses := []string{"--orderd", s.Orderd.Address, "--paymentd", s.Paymentd.Address}
		return ask(slices.Concat([]string{"explain", order}, addresses, flags)...)
	}
	output, err = explain()
	for _, want := range []string{
		"PENDING", "CHARGED, held: 1 JPY; not this order's: it is of ada, 1 JPY", "it needs a person: parked",
		"KEY_REUSED", "ledger: CHARGE 1 JPY", "CHARGE to be tried again at once, by ada: once more",
	} {
		if err != nil || !strings.Contains(output, want) {
			t.Errorf("explain: got %v\n%s\nwant %q", err, output, want)
		}
	}
	if output, err := ask("settle", order); err == nil || !strings.Contains(output, "missing flags: --reason") {
		t.Errorf("settle without a reason: got %v\n%s\nwant it to ask for one", err, output)
	}
	if output, err := ask("settle", order, "--operator", "ada", "--reason", "the key is taken"); err != nil {
		t.Errorf("settle: %v\n%s", err, output)
	}
	output, err = explain("--json")
	byHand := strings.Contains(output, "settled by hand, by ada: the key is taken")
	if err != nil || !byHand || !json.Valid([]byte(output)) {
		t.Errorf("explain after it was settled: got %v\n%s\nwant who decided and why, as JSON", err, output)
	}
	output, err = explain("--paymentd", "127.0.0.1:1")
	missing := strings.Contains(output, "incomplete: there is no paymentd at 127.0.0.1:1 (connection refused)")
	if codeOf(err) != 2 || !missing || !strings.Contains(output, "CANCELLED (OPERATOR)") {
		t.Errorf("explain without paymentd: got %v\n%s\nwant exit 2, and what the others know", err, output)
	}
	if output, err := ask("explain", "7"); codeOf(err) != 2 || !strings.Contains(output, "want a UUID") {
		t.Errorf("explain 7: got %v\n%s\nwant a refusal", err, output)
	}
	if output, err := ask("parked"); err != nil || output != "nothing is parked or stuck\n" {
		t.Errorf("parked after it was settled: got %v\n%s\nwant nothing", err, output)
	}
	if output, err := ask("retry", order); err == nil || !strings.Contains(output, "NotFound") {
		t.Errorf("retry after it was settled: got %v\n%s\nwant NotFound", err, output)
	}
	reply, err := orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: order})
	if err != nil {
		t.Fatal(err)
	}
	if got := story.OrderState(reply.GetOrder()); got != "CANCELLED (OPERATOR)" {
		t.Errorf("got the order %v, want it CANCELLED by the operator", got)
	}
}

func startStack(t *testing.T) *stack.Stack {
	t.Helper()
	folder, err := stack.NewFolder("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Remove() })
	if err := daemons(); err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Config{Bin: programs, Dir: folder.Path(), Relays: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// orderWithTakenKey places an order and takes its key, while no relay is there to pay for it.
func orderWithTakenKey(
	t *testing.T, orders orderv1.OrderServiceClient, payments paymentv1.PaymentServiceClient,
) string {
	t.Helper()
	placed, err := orders.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
		CustomerId: "ada", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	})
	if err != nil {
		t.Fatal(err)
	}
	order := placed.GetOrder().GetOrderId()
	if _, err := payments.ChargePayment(t.Context(), &paymentv1.ChargePaymentRequest{
		PaymentId: order, CustomerId: "ada", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1},
	}); err != nil {
		t.Fatal(err)
	}
	return order
}

// awaitOutput repeats a command until it prints what is wanted.
func awaitOutput(t *testing.T, ask func(...string) (string, error), wanted func(string) bool, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		output, err := ask(args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, output)
		}
		if wanted(output) {
			return output
		}
		if ctx.Err() != nil {
			t.Fatalf("%v: got\n%s", args, output)
		}
	}
}

// What a broker has was taken up by nobody, for all that is counted of claims. How often it was handed over is told.
func TestParkedTellsHowOftenACommandWasHandedOver(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	printParked(terminal.New(file, nil), []*relayv1.ParkedCommand{{
		OrderId: "an-order", Kind: relayv1.ParkedCommand_KIND_VOID, Sends: 3, LastCode: "HANDED_OVER",
		Why: relayv1.ParkedCommand_WHY_UNDECIDED, NextAttemptTime: timestamppb.New(time.Now().Add(time.Hour)),
	}})
	output, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	head, row, _ := strings.Cut(string(output), "\n")
	column := strings.Index(head, "SENDS")
	if column < 0 || !strings.HasPrefix(row[column:], "3 ") || !strings.Contains(row, "it was handed over 3 times") {
		t.Errorf("got\n%s\nwant 3 under SENDS, and what follows", output)
	}
}
