package stack_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/authority"
	"hosho/internal/identity"
	"hosho/internal/lab/stack"
	"hosho/internal/policy"
	"hosho/internal/rpc"
)

// longWait bounds every call. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// Each method is called as each identity, with a request that says nothing: who may call it is told what is wrong with
// that, or is answered, and everybody else is refused before anybody looks at it. So it is through the JSON door.
func TestEachIdentityMayCallWhatThePolicySaysAndNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS, c.HTTP = true, true })
	shipped, err := policy.Parse(policy.Shipped(authority.ID))
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]*stack.Process{"orderd": s.Orderd, "paymentd": s.Paymentd, "relay": s.Relays[0]}
	serving := map[string][]string{
		"order": {"orderd"}, "payment": {"paymentd"}, "relay": {"relay"}, "event": {"orderd", "paymentd", "relay"},
	}
	allowed := 0
	identities := append(policy.Names(), "orderd", "paymentd", "stranger")
	for _, who := range identities {
		keeper := s.Keeper(who)
		if keeper == nil {
			keeper = s.issued(t, authority.Wanted{Identity: authority.ID(who), Until: time.Now().Add(time.Hour)})
		}
		for _, permission := range policy.Permissions() {
			service, _, _ := strings.Cut(permission, ".")
			for _, daemon := range serving[service] {
				err := s.calls(t, at[daemon].Address, rpc.As(keeper, authority.ID(daemon)), permission)
				_, may := shipped.May(authority.ID(who), permission)
				refused := status.Code(err) == codes.PermissionDenied && rpc.Reason(err) == "NOT_ALLOWED"
				switch code := status.Code(err); {
				case code == codes.Unavailable, code == codes.Unimplemented, code == codes.DeadlineExceeded:
					t.Errorf("%s calls %s of %s: got %v, want an answer", who, permission, daemon, err)
				case may == refused:
					t.Errorf("%s calls %s of %s: got %v, want it allowed: %t", who, permission, daemon, err, may)
				case may:
					allowed++
				}
			}
		}
	}
	if allowed == 0 {
		t.Error("nobody may call anything")
	}
	s.atTheDoor(t, shipped, identities)
}

// issued returns a certificate of the stack's authority.
func (s *system) issued(t *testing.T, w authority.Wanted) *identity.Keeper {
	t.Helper()
	pair, err := s.Authority().Issue(w)
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, pair, s.Authority().Cert())
}

// calls calls what a permission allows with an empty request. Orders are listed of everybody in one, and of somebody
// with the other.
func (s *system) calls(t *testing.T, address string, as grpc.DialOption, permission string) error {
	t.Helper()
	conn, err := rpc.Dial(address, as)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	var request proto.Message = &emptypb.Empty{}
	if permission == "order.v1.OrderService/ListOrders" {
		request = &orderv1.ListOrdersRequest{CustomerId: "test"}
	}
	// A stream does for a call of one request and one answer, too.
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/"+strings.TrimSuffix(permission, ":all"))
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
