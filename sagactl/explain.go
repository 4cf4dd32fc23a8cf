package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/rpc"
	"hosho/internal/terminal"
)

type explain struct {
	outboxService
	Orderd   string `default:"127.0.0.1:50051" env:"ORDERD" help:"The gRPC address of an orderd."`
	Paymentd string `default:"127.0.0.1:50052" env:"PAYMENTD" help:"The gRPC address of a paymentd."`
	Order    string `arg:"" help:"The order's id."`
	JSON     bool   `help:"Print one JSON object."`
}

// errIncomplete says that not everybody could be asked. Who, and why, has been printed by then.
var errIncomplete = errors.New("the explanation is incomplete")

// Run tells what happened to an order, as far as the services answer.
func (e *explain) Run(ctx context.Context, screen *terminal.Terminal) error {
	if err := uuid.Validate(e.Order); err != nil {
		return fmt.Errorf("order: got %q, want a UUID", e.Order)
	}
	a := e.ask(ctx)
	if a.unknown() {
		return fmt.Errorf("nobody knows an order %s", e.Order)
	}
	if err := e.print(screen, a); err != nil {
		return err
	}
	if len(a.Silent) > 0 {
		return errIncomplete
	}
	return nil
}

// answers are what the services say of an order. What a service does not know is nil.
type answers struct {
	order    *orderv1.Order
	delivery *relayv1.ExplainOrderResponse
	payment  *paymentv1.GetPaymentResponse
	Silent   []string // who could not be asked, and why
}

func (a answers) unknown() bool {
	return a.order == nil && a.delivery == nil && a.payment == nil && len(a.Silent) == 0
}

func (a answers) isSilent(service string) bool {
	return slices.ContainsFunc(a.Silent, func(who string) bool { return strings.HasPrefix(who, service+" ") })
}

// ask asks one service after the other, the order last: what it says then is the newest.
func (e *explain) ask(ctx context.Context) answers {
	var a answers
	a.call(ctx, "relay", e.Relay, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		a.delivery, err = relayv1.NewOutboxServiceClient(conn).ExplainOrder(ctx, &relayv1.ExplainOrderRequest{OrderId: e.Order})
		return err
	})
	a.call(ctx, "paymentd", e.Paymentd, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		a.payment, err = paymentv1.NewPaymentServiceClient(conn).GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: e.Order})
		return err
	})
	a.call(ctx, "orderd", e.Orderd, func(ctx context.Context, conn *grpc.ClientConn) error {
		reply, err := orderv1.NewOrderServiceClient(conn).GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: e.Order})
		a.order = reply.GetOrder()
		return err
	})
	return a
}

// call asks a service. That it does not know the order is an answer; any other error is noted.
func (a *answers) call(ctx context.Context, service, address string, do func(context.Context, *grpc.ClientConn) error) {
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	conn, err := rpc.Dial(address)
	if err == nil {
		defer conn.Close()
		err = do(ctx, conn)
	}
	if err != nil && status.Code(err) != codes.NotFound {
		a.Silent = append(a.Silent, fmt.Sprintf("%s at %s answers %s: %s", service, address, status.Code(err), status.Convert(err).Message()))
	}
}

func (e *explain) print(t *terminal.Terminal, a answers) error {
	if e.JSON {
		out := json.NewEncoder(t)
		out.SetEscapeHTML(false)
		return a.encode(out)
	}
	t.Line("%s  %s", t.Paint(terminal.Bold, "ORDER  "), a.orderLine(e.Order))
	t.Line("%s  %s", t.Paint(terminal.Bold, "PAYMENT"), a.paymentLine())
	for _, next := range a.next() {
		t.Line("%s  %s", t.Paint(terminal.Bold, "NEXT   "), next)
	}
	t.Line("\n%s", t.Paint(terminal.Bold, fmt.Sprintf("%-23s  %-8s  %s", "TIME", "FROM", "WHAT")))
	for _, m := range a.history() {
		t.Line("%s  %-8s  %s%s", t.Paint(terminal.Dim, m.Time.Local().Format("2006-01-02 15:04:05.000")), m.From,
			t.Paint(m.style, m.What), t.Paint(terminal.Dim, m.details()))
	}
	for _, silent := range a.Silent {
		t.Line("\n%s", t.Paint(terminal.Red, "incomplete: "+silent))
	}
	return nil
}

// encode writes all answers as they were given, and what was made of them.
func (a answers) encode(to *json.Encoder) error {
	order, err := raw(a.order, a.order != nil)
	delivery, err2 := raw(a.delivery, a.delivery != nil)
	payment, err3 := raw(a.payment, a.payment != nil)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	return to.Encode(struct {
		Order    json.RawMessage `json:"order,omitempty"`
		Delivery json.RawMessage `json:"delivery,omitempty"`
		Payment  json.RawMessage `json:"payment,omitempty"`
		Timeline []moment        `json:"timeline"`
		Next     []string        `json:"next,omitempty"`
		Silent   []string        `json:"incomplete,omitempty"`
	}{order, delivery, payment, a.history(), a.next(), a.Silent})
}

// raw is a message as JSON, nil when there is none.
func raw(m proto.Message, known bool) (json.RawMessage, error) {
	if !known {
		return nil, nil
	}
	return protojson.Marshal(m)
}

// moment is one line of an order's history.
type moment struct {
	Time    time.Time `json:"time"`
	From    string    `json:"from"` // the service that tells it
	What    string    `json:"what"`
	Implied bool      `json:"implied,omitempty"` // it is not recorded, but follows from what is
	Relay   string    `json:"relay,omitempty"`
	TraceID string    `json:"trace_id,omitempty"`
	style   terminal.Style
}

// details are what is not for everybody.
func (m moment) details() string {
	text := ""
	if m.Relay != "" {
		text += "  by " + m.Relay
	}
	if m.TraceID != "" {
		text += "  trace " + m.TraceID
	}
	if m.Implied {
		text += "  (implied: a first delivery that is decided is not recorded)"
	}
	return text
}
