package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/order"
	"hosho/internal/pgembed"
	"hosho/internal/reconcile"
	"hosho/internal/slow"
)

// A database is restored to an older state: the orders, the payments, and both, the payments to a later time. Each time
// as doc/restore.md says: the relays and orderd are stopped before, reconcile lists what differs, and its calls are
// made. Afterwards it is clean, every order is settled, no key was charged twice, and no money is held but for
// COMPLETED orders.
func TestRestore(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes, and restores its databases")
	s := &restored{Stack: startStack(t), t: t}
	s.orders = orderv1.NewOrderServiceClient(dial(t, s.Orderd.Address))
	s.payments = paymentv1.NewPaymentServiceClient(dial(t, s.Paymentd.Address))
	drill := func(name string, run func()) bool {
		return t.Run(name, func(t *testing.T) { s.t = t; run() })
	}
	_ = drill("orders", s.restoreOrders) && drill("payments", s.restorePayments) && drill("both", s.restoreBoth)
}

// What happened to orders since the backup is forgotten, and the payments know it.
func (s *restored) restoreOrders() {
	refunded := s.ends(s.place(""), order.Completed)
	s.stop(s.Relays[0])
	waits := s.place("")
	backup := s.backUp(&s.Orders, s.Orderd)
	s.start(s.Relays[0])
	s.ends(waits, order.Completed)
	s.ends(s.cancel(refunded), order.Cancelled)
	lost, given := s.ends(s.place("again"), order.Completed), s.place("")
	s.ends(s.cancel(given), order.Cancelled)

	s.stop(s.Relays[0], s.Orderd)
	s.restore(&s.Orders, backup)
	found := s.finds(1, map[string]reconcile.Class{
		lost: reconcile.PaymentWithoutOrder, given: reconcile.SealedWithoutOrder, refunded: reconcile.CompletedNotHeld,
	})
	s.start(s.Orderd, s.Relays[0])
	s.explains(lost, 1, "no such order", "CHARGED, held: 600 JPY; it is of ada, 600 JPY",
		"sagactl reconcile has the call")
	s.call(found[lost].Todo)
	s.explains(lost, 1, "no such order", "REFUNDED, held: 0 JPY", "no money is held")
	s.ends(waits, order.Completed) // it was PENDING again, and its key knows that it is paid
	if again := s.ends(s.place("again"), order.Completed); again == lost {
		s.t.Errorf("the request was repeated: got the order %s, which the restore has lost", again)
	}
	s.ends(s.cancel(refunded), order.Cancelled)
	s.explains(refunded, 0, "COMPLETED: payment charged", "CANCELLING (CUSTOMER): customer cancels", "REFUNDED")
	s.comesClean(lost, given)
}

// What paymentd decided since the backup is forgotten, and the orders know it.
func (s *restored) restorePayments() {
	refunded := s.ends(s.place(""), order.Completed)
	backup := s.backUp(&s.Payments, s.Paymentd)
	s.ends(s.cancel(refunded), order.Cancelled)
	forgotten, hopeless := s.ends(s.place(""), order.Completed), s.ends(s.place(""), order.Completed)
	undone := s.ends(s.place(""), order.Completed)
	s.ends(s.cancel(undone), order.Cancelled)
	s.stop(s.Relays[0])
	voided := s.cancel(s.place(""))
	s.start(s.Relays[0])
	s.ends(voided, order.Cancelled)

	s.stop(s.Relays[0])
	waits := s.place("")
	s.stop(s.Orderd, s.Paymentd)
	s.restore(&s.Payments, backup)
	s.start(s.Paymentd)
	found := s.finds(1, map[string]reconcile.Class{
		refunded: reconcile.CancelledButHeld, voided: reconcile.CancelledButHeld, undone: reconcile.CancelledButHeld,
		forgotten: reconcile.CompletedNotHeld, hopeless: reconcile.CompletedNotHeld,
	})
	s.call(found[refunded].Todo)
	s.call(found[voided].Todo)
	s.call(found[undone].Todo)
	s.call(found[forgotten].Todo) // charges it again
	s.start(s.Relays[0], s.Orderd)
	s.giveUp(hopeless)
	s.ends(waits, order.Completed)
	s.byHand = append(s.byHand, hopeless)
	s.comesClean()
}

// giveUp cancels an order whose payment was forgotten, and settles it by hand when that cannot be refunded.
func (s *restored) giveUp(id string) {
	s.t.Helper()
	s.cancel(id)
	ask := func(args ...string) (string, error) {
		cmd, _ := sagactl(s.t, append(args, "--relay", s.Relays[0].Address)...)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	awaitOutput(s.t, ask, func(output string) bool {
		return strings.Contains(output, id) && strings.Contains(output, order.NotRefunded)
	}, "parked")
	output, err := ask("settle", id, "--operator", "ada", "--reason", "given back by other means")
	if err != nil {
		s.t.Fatalf("settle: %v\n%s", err, output)
	}
	s.explains(id, 0, "COMPLETED: payment charged", "CANCELLING (CUSTOMER): customer cancels",
		"CANCELLED (CUSTOMER): operator settles  by ada", "settled by hand, by ada: given back by other means")
}

// The payments are restored to a later time than the orders: no order has its payment forgotten.
func (s *restored) restoreBoth() {
	kept, refunded := s.ends(s.place(""), order.Completed), s.ends(s.place(""), order.Completed)
	s.stop(s.Relays[0])
	waits := s.place("")
	orders := s.backUp(&s.Orders, s.Orderd)
	s.start(s.Relays[0])
	s.ends(waits, order.Completed)
	s.ends(s.cancel(refunded), order.Cancelled)
	between := s.ends(s.place("between"), order.Completed)
	payments := s.backUp(&s.Payments, s.Paymentd)
	after := s.ends(s.place("after"), order.Completed)
	s.ends(s.cancel(kept), order.Cancelled)

	s.stop(s.Relays[0], s.Orderd, s.Paymentd)
	s.restore(&s.Payments, payments)
	s.restore(&s.Orders, orders)
	s.start(s.Paymentd)
	found := s.finds(1, map[string]reconcile.Class{
		between: reconcile.PaymentWithoutOrder, refunded: reconcile.CompletedNotHeld,
	})
	s.call(found[between].Todo)
	s.start(s.Relays[0], s.Orderd)
	s.ends(waits, order.Completed)
	s.ends(s.cancel(refunded), order.Cancelled)
	s.ends(kept, order.Completed) // its cancellation is forgotten on both sides
	s.explains(after, 1, "nobody knows an order")
	if again := s.ends(s.place("after"), order.Completed); again == after {
		s.t.Errorf("the request was repeated: got the order %s, which the restore has lost", again)
	}
	s.comesClean(between)
}

// restored is a system whose databases are restored.
type restored struct {
	*stack.Stack
	t        *testing.T // the drill that runs
	orders   orderv1.OrderServiceClient
	payments paymentv1.PaymentServiceClient
	sealed   []string // payments whose orders were lost, and which hold nothing any more
	byHand   []string // orders that were settled by hand
}

func (s *restored) place(requestID string) string {
	s.t.Helper()
	request := &orderv1.CreateOrderRequest{
		CustomerId: "ada", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	}
	if requestID != "" {
		request.RequestId = &requestID
	}
	reply, err := s.orders.CreateOrder(s.t.Context(), request, grpc.WaitForReady(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return reply.GetOrder().GetOrderId()
}

func (s *restored) cancel(id string) string {
	s.t.Helper()
	_, err := s.orders.CancelOrder(s.t.Context(), &orderv1.CancelOrderRequest{OrderId: id}, grpc.WaitForReady(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// ends waits until an order has a status.
func (s *restored) ends(id string, status order.Status) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	want := orderv1.Order_Status(orderv1.Order_Status_value["STATUS_"+string(status)])
	watch, err := s.orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id}, grpc.WaitForReady(true))
	for err == nil {
		var reply *orderv1.WatchOrderResponse
		if reply, err = watch.Recv(); err == nil && reply.GetOrder().GetStatus() == want {
			return id
		}
	}
	s.t.Fatalf("order %s: got %v, want it %s", id, err, status)
	return id
}

// finds wants reconcile to find these orders and payments under their classes, and no others, and to exit so.
func (s *restored) finds(code int, want map[string]reconcile.Class) map[string]reconcile.Finding {
	s.t.Helper()
	output, err := reconcileOnce(s.t, s.Stack, "--json")
	want = maps.Clone(want)
	for _, id := range s.sealed {
		want[id] = reconcile.SealedWithoutOrder
	}
	for _, id := range s.byHand {
		want[id] = reconcile.SettledByOperator
	}
	found, got := map[string]reconcile.Finding{}, map[string]reconcile.Class{}
	for line := range strings.Lines(output) {
		var f reconcile.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			s.t.Fatalf("%v: %s", err, output)
		}
		if f.OrderID != "" {
			found[f.OrderID], got[f.OrderID] = f, f.Class
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || codeOf(err) != code {
		s.t.Fatalf("reconcile: got exit %d, want %d; findings (-want +got):\n%s\n%s", codeOf(err), code, diff, output)
	}
	return found
}

// explains wants explain to tell all of this, and to exit so.
func (s *restored) explains(id string, code int, wants ...string) {
	s.t.Helper()
	cmd, _ := sagactl(s.t, "explain", id, "--orderd", s.Orderd.Address, "--paymentd", s.Paymentd.Address,
		"--relay", s.Relays[0].Address)
	output, err := cmd.CombinedOutput()
	for _, want := range wants {
		if !strings.Contains(string(output), want) || codeOf(err) != code {
			s.t.Errorf("explain %s: got exit %d, want %d, and %q:\n%s", id, codeOf(err), code, want, output)
		}
	}
}

var printedCall = regexp.MustCompile(`grpcurl -plaintext -d '([^']*)' \$PAYMENTD payment\.v1\.PaymentService/(\w+)`)

// call makes the call that a finding prints.
func (s *restored) call(todo string) {
	s.t.Helper()
	parts := printedCall.FindStringSubmatch(todo)
	if parts == nil {
		s.t.Fatalf("got %q, want a call of paymentd", todo)
	}
	var err error
	switch parts[2] {
	case "VoidPayment":
		var request paymentv1.VoidPaymentRequest
		if err = protojson.Unmarshal([]byte(parts[1]), &request); err == nil {
			_, err = s.payments.VoidPayment(s.t.Context(), &request, grpc.WaitForReady(true))
		}
	case "ChargePayment":
		var request paymentv1.ChargePaymentRequest
		if err = protojson.Unmarshal([]byte(parts[1]), &request); err == nil {
			_, err = s.payments.ChargePayment(s.t.Context(), &request, grpc.WaitForReady(true))
		}
	}
	if err != nil {
		s.t.Fatalf("%s: %v", todo, err)
	}
}

// comesClean wants every order settled, the databases to agree, and money to be held for the COMPLETED orders alone,
// charged once. These payments are left without an order, beside those of the drills before.
func (s *restored) comesClean(left ...string) {
	s.t.Helper()
	s.sealed = append(s.sealed, left...)
	s.finds(0, map[string]reconcile.Class{})
	held := s.sum(s.PaymentsURL(), `
		SELECT sum(CASE kind WHEN 'CHARGE' THEN amount_minor ELSE -amount_minor END) FROM ledger`)
	owed := s.sum(s.OrdersURL(), `SELECT sum(amount_minor) FROM orders WHERE status = 'COMPLETED'`)
	underWay := s.sum(s.OrdersURL(), `SELECT count(*) FROM orders WHERE status IN ('PENDING', 'CANCELLING')`)
	if held != owed || underWay > 0 {
		s.t.Errorf("got %d held, %d owed and %d orders under way; want as much held as owed, and no order", held, owed,
			underWay)
	}
}

func (s *restored) sum(url, sql string) (n int64) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.t.Context()))
	if err := conn.QueryRow(s.t.Context(), sql).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *restored) start(daemons ...*stack.Process) {
	s.t.Helper()
	for _, p := range daemons {
		if err := p.Start(); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, p := range daemons {
		if err := p.WaitReady(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *restored) stop(daemons ...*stack.Process) {
	s.t.Helper()
	for _, p := range daemons {
		if err := p.Stop(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// backUp copies a server's data while it is down, and the daemon that uses it, and returns where the copy is.
func (s *restored) backUp(server **pgembed.Server, user *stack.Process) string {
	s.t.Helper()
	s.stop(user)
	defer s.start(user)
	copied := filepath.Join(s.t.TempDir(), "data")
	s.whileDown(server, func(data string) { s.copy(data, copied) })
	return copied
}

// restore gives a server the data of a copy.
func (s *restored) restore(server **pgembed.Server, from string) {
	s.t.Helper()
	s.whileDown(server, func(data string) {
		if err := os.RemoveAll(data); err != nil {
			s.t.Fatal(err)
		}
		s.copy(from, data)
	})
}

func (s *restored) copy(from, to string) {
	s.t.Helper()
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("copy a server's data: %v\n%s", err, output)
	}
}

// whileDown stops a server, and starts it again at the same port.
func (s *restored) whileDown(server **pgembed.Server, do func(data string)) {
	s.t.Helper()
	was := *server
	address, err := url.Parse(was.URL("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := was.Stop(); err != nil {
		s.t.Fatal(err)
	}
	do(filepath.Join(was.Dir(), "data"))
	if *server, err = pgembed.Start(s.t.Context(), pgembed.Config{Dir: was.Dir(), Port: port}); err != nil {
		s.t.Fatal(err)
	}
}
