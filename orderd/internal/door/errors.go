package door

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/rpc"
)

// Why a request is no call.
type (
	unknownPath struct{ path string }
	wrongMethod struct {
		method, path string
		others       []string
	}
	wrongType    struct{ header, sent, want string }
	bodyTooLarge struct{ most int64 }
	foreignHost  struct {
		host  string
		known []string
	}
)

var errCrossSite = errors.New("a page of another origin has sent this request: nothing is done for it")

func (e *unknownPath) Error() string {
	return fmt.Sprintf("there is no %s: the calls are listed at /", quoted(e.path))
}

func (e *wrongMethod) Error() string {
	return fmt.Sprintf("got %s, and %s takes %s", quoted(e.method), e.path, strings.Join(e.others, " and "))
}

func (e *wrongType) Error() string {
	return fmt.Sprintf("got the %s %s, want %s", e.header, quoted(e.sent), e.want)
}

func (e *bodyTooLarge) Error() string {
	return fmt.Sprintf("the body has more than %d bytes, which is the most", e.most)
}

func (e *foreignHost) Error() string {
	return fmt.Sprintf("got the Host %s, want one of %s: without certificates this door is for this machine alone",
		quoted(e.host), strings.Join(e.known, ", "))
}

// quoted is what a client sent, cut short.
func quoted(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.Quote(text)
}

// malformed makes the error of a request of which no call can be made.
func malformed(format string, args ...any) error {
	return notACall(codes.InvalidArgument, fmt.Errorf(format, args...))
}

// notACall makes it of an error that may repeat what was sent, whatever bytes that has, and however many.
func notACall(code codes.Code, err error) error {
	const most = 500
	text := rpc.Brief(strings.ToValidUTF8(err.Error(), "\ufffd"), most)
	return rpc.Status(code, errorv1.ErrorReason_ERROR_REASON_MALFORMED_REQUEST, text)
}

// unread has what the gateway could not read be told as all else of which no call can be made. An error of the server
// says itself why it is one.
func unread(err error) error {
	if told := status.Convert(err); told.Code() == codes.InvalidArgument && rpc.Reason(err) == "" {
		return malformed("%s", told.Message())
	}
	return err
}

// answer returns what a request is answered: a status, and the HTTP code, which is that of gRPC's code unless HTTP has
// one that says more.
func answer(err error) (*status.Status, int) {
	var unknown *unknownPath
	var method *wrongMethod
	var kind *wrongType
	var large *bodyTooLarge
	var host *foreignHost
	code := 0
	switch {
	case errors.As(err, &unknown):
		err = notACall(codes.NotFound, err)
	case errors.As(err, &method):
		err, code = notACall(codes.Unimplemented, err), http.StatusMethodNotAllowed
	case errors.As(err, &kind):
		err, code = notACall(codes.InvalidArgument, err), http.StatusUnsupportedMediaType
	case errors.As(err, &large):
		err, code = notACall(codes.ResourceExhausted, err), http.StatusRequestEntityTooLarge
	case errors.As(err, &host):
		err, code = notACall(codes.PermissionDenied, err), http.StatusMisdirectedRequest
	case errors.Is(err, errCrossSite):
		err = notACall(codes.PermissionDenied, err)
	}
	told, known := status.FromError(err)
	if !known {
		told = status.Convert(rpc.ToStatus(err))
	}
	if code == 0 {
		code = runtime.HTTPStatusFromCode(told.Code())
	}
	return told, code
}

// writeError answers an error: a google.rpc.Status as JSON.
func writeError(w http.ResponseWriter, err error) {
	told, code := answer(err)
	text, failed := codec{}.Marshal(told.Proto())
	if failed != nil { // details that nobody here knows
		text = []byte(`{"code":13,"message":"internal"}` + "\n")
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	var method *wrongMethod
	if errors.As(err, &method) {
		h.Set("Allow", strings.Join(method.others, ", "))
	}
	if again := rpc.RetryDelay(told.Err()); again > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(again.Seconds()))))
	}
	w.WriteHeader(code)
	_, _ = w.Write(text) // who does not wait for it has gone
}

// refuse answers a request with an error. One of this door's own is counted: the server counts its own.
func (d *door) refuse(w http.ResponseWriter, err error) {
	d.metrics.refuse(err)
	writeError(w, err)
}
