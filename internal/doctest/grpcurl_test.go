package doctest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The documentation calls grpcurl, which takes minutes to compile. This test program is it, when it is called by that
// name: it asks a server by reflection what it serves, and calls a method for real, with one request. The flags are
// those that the pages use, and exit codes and output are grpcurl's.

// callTimeout bounds one call, so that a page that asks for too much says so.
const callTimeout = 30 * time.Second

// grpcurl returns the exit code.
func grpcurl(args []string) int {
	flags := flag.NewFlagSet("grpcurl", flag.ContinueOnError)
	plain := flags.Bool("plaintext", false, "without TLS")
	data := flags.String("d", "", "the request, as JSON")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if !*plain || flags.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "want: grpcurl -plaintext [-d JSON] ADDRESS METHOD, or list in its place")
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	conn, err := grpc.NewClient(flags.Arg(0), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	return tell(flags.Arg(1), ask(ctx, conn, flags.Arg(1), *data))
}

// tell prints an error, and returns the exit code. It leaves out the details that the real one prints of a status.
func tell(method string, err error) int {
	if err == nil {
		return 0
	}
	if st, ok := status.FromError(err); ok {
		fmt.Fprintf(os.Stderr, "ERROR:\n  Code: %s\n  Message: %s\n", st.Code(), st.Message())
		return 64 + int(st.Code())
	}
	fmt.Fprintf(os.Stderr, "Error invoking method %q: %v\n", method, err)
	return 1
}

func ask(ctx context.Context, conn *grpc.ClientConn, what, data string) error {
	if what == "list" {
		reply, err := reflectOn(ctx, conn, &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		})
		var names []string
		for _, service := range reply.GetListServicesResponse().GetService() {
			names = append(names, service.GetName())
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Println(name)
		}
		return err
	}
	service, method, _ := strings.Cut(what, "/")
	files, err := filesOf(ctx, conn, service)
	if err != nil {
		return err
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		return fmt.Errorf("service %q does not include a method named %q", service, method)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s is no method", what)
	}
	return call(ctx, conn, files, descriptor, what, data)
}

// filesOf returns the files that describe a service, by what the server says about itself.
func filesOf(ctx context.Context, conn *grpc.ClientConn, service string) (*protoregistry.Files, error) {
	reply, err := reflectOn(ctx, conn, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if err != nil {
		return nil, err
	}
	if e := reply.GetErrorResponse(); e != nil {
		return nil, fmt.Errorf("target server does not expose service %q: %s", service, e.GetErrorMessage())
	}
	var set descriptorpb.FileDescriptorSet
	for _, bytes := range reply.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(bytes, &file); err != nil {
			return nil, err
		}
		set.File = append(set.File, &file)
	}
	return protodesc.NewFiles(&set)
}

func reflectOn(ctx context.Context, conn *grpc.ClientConn, request *reflectionpb.ServerReflectionRequest) (
	*reflectionpb.ServerReflectionResponse, error,
) {
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// call sends one request, and prints every message of the reply.
func call(ctx context.Context, conn *grpc.ClientConn, files *protoregistry.Files, method protoreflect.MethodDescriptor,
	name, data string,
) error {
	types := dynamicpb.NewTypes(files)
	request := dynamicpb.NewMessage(method.Input())
	if data != "" {
		if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(data), request); err != nil {
			return fmt.Errorf("error getting request data: %w", err)
		}
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+name)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil {
		return err
	}
	for {
		reply := dynamicpb.NewMessage(method.Output())
		if err := stream.RecvMsg(reply); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		text, err := protojson.MarshalOptions{Resolver: types}.Marshal(reply)
		if err != nil {
			return err
		}
		var pretty bytes.Buffer // protojson's own spaces differ from build to build
		if err := json.Indent(&pretty, text, "", "  "); err != nil {
			return err
		}
		fmt.Println(pretty.String())
	}
}
