package main

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/lab/fuzz"
	"hosho/internal/slow"
)

func FuzzRequests(f *testing.F) { anyRequests(f).Bytes(f) }

func TestNoRequestIsTooStrange(t *testing.T) {
	slow.Test(t, "walks at random through requests")
	t.Parallel()
	anyRequests(t).Messages(t)
}

// anyRequests is a paymentd that may be asked anything. Its network approves all.
func anyRequests(t testing.TB) fuzz.Service {
	t.Helper()
	s := start(t, func(s *server) { s.network, s.loses = card.Simulation{}, nil })
	charge := newCharge(900)
	return fuzz.Service{
		Conn:       s.conn,
		Descriptor: paymentv1.File_payment_v1_payment_service_proto.Services().ByName("PaymentService"),
		Codes: map[string][]codes.Code{
			// UNAVAILABLE: it means another database
			"ChargePayment":   {codes.InvalidArgument, codes.AlreadyExists, codes.Unavailable},
			"VoidPayment":     {codes.InvalidArgument, codes.AlreadyExists, codes.Unavailable},
			"ProcessPayments": {codes.InvalidArgument},
			"GetDatabase":     nil,
			"GetPayment":      {codes.InvalidArgument, codes.NotFound},
			"ListPayments":    {codes.InvalidArgument},

			"AcceptOrdersDatabase": {codes.InvalidArgument},
		},
		Seeds: []proto.Message{
			charge, newCharge(901),
			&paymentv1.ProcessPaymentsRequest{Commands: []*paymentv1.PaymentCommand{
				{Command: &paymentv1.PaymentCommand_Charge{Charge: newCharge(902)}},
				{Command: &paymentv1.PaymentCommand_Void{Void: voidOf(charge)}},
				{},
			}},
			&paymentv1.GetPaymentRequest{PaymentId: charge.GetPaymentId()},
			&paymentv1.ListPaymentsRequest{PageSize: 1, CustomerId: "c-1", Status: paymentv1.Payment_STATUS_CHARGED},
			&paymentv1.AcceptOrdersDatabaseRequest{OrdersDatabase: newID(), Reason: "moved", Operator: "ada"},
		},
		Reply: checkResults,
	}
}

// checkResults checks the errors that a stream says inside.
func checkResults(t fuzz.TB, reply proto.Message) {
	text, err := proto.Marshal(reply)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var processed paymentv1.ProcessPaymentsResponse
	if reply.ProtoReflect().Descriptor() != processed.ProtoReflect().Descriptor() {
		return
	}
	if err := proto.Unmarshal(text, &processed); err != nil {
		t.Fatalf("%v", err)
	}
	for _, r := range processed.GetResults() {
		switch code := codes.Code(r.GetError().GetCode()); code {
		case codes.OK, codes.InvalidArgument, codes.AlreadyExists:
		case codes.Unavailable:
			if r.GetError().GetReason() != "WRONG_PAYMENTS_DATABASE" {
				t.Errorf("got the result %v, want that it means another database", r)
			}
		default:
			t.Errorf("got the result %v, want OK or a code that is documented", r)
		}
	}
}
