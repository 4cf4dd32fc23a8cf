package main

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/fuzz"
	"hosho/internal/slow"
)

func FuzzRequests(f *testing.F) { anyRequests(f).Bytes(f) }

func TestNoRequestIsTooStrange(t *testing.T) {
	slow.Test(t, "walks at random through requests")
	t.Parallel()
	anyRequests(t).Messages(t)
}

// anyRequests is a relay that may be asked anything. Some of its orders need a person.
func anyRequests(t testing.TB) fuzz.Service {
	t.Helper()
	s := newSystem(t)
	charge, void := s.parked(1)[0], s.parked(0)[0]
	return fuzz.Service{
		Conn:       s.relay().conn(),
		Descriptor: relayv1.File_relay_v1_outbox_service_proto.Services().ByName("OutboxService"),
		Codes: map[string][]codes.Code{
			"ListParked":   {codes.InvalidArgument},
			"ListCommands": {codes.InvalidArgument},
			"RetryParked":  {codes.InvalidArgument, codes.NotFound},
			"SettleParked": {codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition},
			"ExplainOrder": {codes.InvalidArgument, codes.NotFound},

			"AcceptPaymentsDatabase": {codes.InvalidArgument, codes.FailedPrecondition},
		},
		Seeds: []proto.Message{
			&relayv1.ListParkedRequest{PageSize: 1},
			&relayv1.ListCommandsRequest{PageSize: 1, Kind: relayv1.ParkedCommand_KIND_VOID},
			&relayv1.RetryParkedRequest{OrderId: charge.ID, Kind: relayv1.ParkedCommand_KIND_CHARGE},
			&relayv1.RetryParkedRequest{OrderId: void.ID, Kind: relayv1.ParkedCommand_KIND_VOID},
			&relayv1.SettleParkedRequest{OrderId: charge.ID, Reason: "paid by hand", Operator: "ada"},
			&relayv1.ExplainOrderRequest{OrderId: void.ID},
			&relayv1.AcceptPaymentsDatabaseRequest{
				PaymentsDatabase: charge.ID, Reason: "moved", Operator: "ada", // no paymentd has that
			},
		},
	}
}
