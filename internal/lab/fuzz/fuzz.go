// Package fuzz sends a daemon requests that nobody has looked at, to every method that it has: bytes that Go's fuzzing
// makes up, and messages that are drawn at random.
//
// Its promise: what is no message is refused, by gRPC, or by the daemon where it reads messages by itself; for what is
// one the daemon says OK or a code that the method's documentation names, with one reason. It never says INTERNAL,
// which is also what a handler's panic becomes.
package fuzz

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// callTimeout bounds a call. It is long, so that only one that hangs runs into it.
const callTimeout = 30 * time.Second

// Service is what is asked.
type Service struct {
	Conn       *grpc.ClientConn
	Descriptor protoreflect.ServiceDescriptor
	// Codes are those that the proto file gives each method, by its name. OK is any method's.
	Codes map[string][]codes.Code
	// Seeds are requests to begin with. Each is sent to all methods, and their texts come up in those that are drawn.
	Seeds []proto.Message
	// Reply, if set, checks what a method that said OK said.
	Reply func(t TB, reply proto.Message)
}

// TB is what is needed of a test, Go's or rapid's.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Bytes fuzzes the methods: a number says which one, and the bytes are its request.
func (s Service) Bytes(f *testing.F) {
	methods := s.Descriptor.Methods()
	for i := range methods.Len() {
		for _, seed := range s.Seeds {
			body, err := proto.Marshal(seed)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), body)
		}
		f.Add(uint8(i), []byte(nil))
		f.Add(uint8(i), []byte("\xff"))
	}
	f.Fuzz(func(t *testing.T, index uint8, body []byte) {
		s.call(t.Context(), t, methods.Get(int(index)%methods.Len()), body)
	})
}

// requestsAWalk is how many requests rapid draws before it begins anew.
const requestsAWalk = 5

// Messages sends the methods messages of their own types, whose fields are drawn.
func (s Service) Messages(t *testing.T) {
	methods := s.Descriptor.Methods()
	draw, err := newDrawer(s.Seeds)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range requestsAWalk {
			method := methods.Get(rapid.IntRange(0, methods.Len()-1).Draw(rt, "method"))
			body, err := proto.Marshal(draw.request(rt, method.Input()))
			if err != nil {
				rt.Fatalf("encode: %v", err)
			}
			s.call(t.Context(), rt, method, body)
		}
	})
}

func (s Service) call(ctx context.Context, t TB, method protoreflect.MethodDescriptor, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := s.exchange(ctx, method, body)
	switch request := dynamicpb.NewMessage(method.Input()); {
	case proto.Unmarshal(body, request) != nil:
		switch status.Code(err) {
		case codes.Internal: // gRPC's
		case codes.InvalidArgument:
			s.checkError(t, method, request, err)
		default:
			t.Errorf("%s of %x, which is no request: got %v, want it refused", method.Name(), body, err)
		}
	case err != nil:
		s.checkError(t, method, request, err)
	case s.Reply != nil && reply != nil:
		s.Reply(t, reply)
	}
}

// exchange sends one request and returns the first reply, nil when a stream ends without one. A client's stream ends
// with the request.
func (s Service) exchange(
	ctx context.Context, method protoreflect.MethodDescriptor, body []byte,
) (proto.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream may go on for ever
	stream, err := s.Conn.NewStream(ctx, &grpc.StreamDesc{
		ServerStreams: method.IsStreamingServer(), ClientStreams: method.IsStreamingClient(),
	}, "/"+string(s.Descriptor.FullName())+"/"+string(method.Name()), grpc.ForceCodecV2(codec{}))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(body); err != nil && !errors.Is(err, io.EOF) { // EOF: the reply says why
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var got []byte
	switch err := stream.RecvMsg(&got); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	reply := dynamicpb.NewMessage(method.Output())
	return reply, proto.Unmarshal(got, reply)
}

func (s Service) checkError(t TB, method protoreflect.MethodDescriptor, request proto.Message, err error) {
	t.Helper()
	if !slices.Contains(s.Codes[string(method.Name())], status.Code(err)) {
		t.Errorf("%s of %v: got %v, want a code that is documented", method.Name(), request, err)
	}
	reasons := 0
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() != "" && info.GetDomain() != "" {
			reasons++
		}
	}
	if reasons != 1 {
		t.Errorf("%s of %v: got %v with %d reasons, want one", method.Name(), request, err, reasons)
	}
}
