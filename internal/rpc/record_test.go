package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/identity"
	"hosho/internal/validate"
)

// A request of 200 bytes breaks a hundred rules. Its line tells of the first ones.
func TestALineOfTheLogIsShort(t *testing.T) {
	t.Parallel()
	var fields validate.Fields
	for range 100 {
		fields.Add("items[0].name", "got 0 characters, want 1 to 200")
	}
	s := start(t, &orders{get: func(context.Context) error { return fields.Err() }})
	wantCode(t, s.get(t.Context()), codes.InvalidArgument)
	text, _ := s.log.call(t)["error"].(string)
	if len(text) > 1100 || !strings.HasSuffix(text, " more bytes)") || !strings.HasPrefix(text, "items[0].name") {
		t.Errorf("got %d bytes, %q; want a KiB of it, and how much was cut", len(text), text)
	}
}

// A panic's stack is longer than an error, and is bounded, too.
func TestTheLineOfAPanicHasItsStack(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{get: func(context.Context) error { panic(strings.Repeat("tea", 10_000)) }})
	wantCode(t, s.get(t.Context()), codes.Internal)
	if text, _ := s.log.call(t)["error"].(string); len(text) < 8<<10 || len(text) > 9<<10 {
		t.Errorf("got %d bytes, want 8 KiB", len(text))
	}
}

func TestATextIsCutBetweenRunes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":           "",
		"12345678":   "12345678",
		"123456789":  "12345678... (1 more bytes)",
		"1234567äää": "1234567... (6 more bytes)",
		"12345678äa": "12345678... (3 more bytes)",
		"äöüß€":      "äöüß... (3 more bytes)",
		"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80": "\x80\x80\x80\x80... (6 more bytes)",
	} {
		got := Brief(text, 8)
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q: got %q, which is no UTF-8", text, got)
		}
	}
}

// The database is away for a minute, and a thousand calls hear of it. The log says so at once and every ten seconds,
// with how many there were; another reason, and another method, has lines of its own. Faults have a line each.
func TestTheRefusalsOfAnOutageAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLogLines()
		i := interceptorOf(log)
		answered := func(method string, err error) {
			t.Helper()
			info := &grpc.UnaryServerInfo{FullMethod: "/order.v1.OrderService/" + method}
			handle := func(context.Context, any) (any, error) { return nil, err }
			if _, err := i.unary(t.Context(), &orderv1.GetOrderRequest{}, info, handle); err == nil {
				t.Error("got no error")
			}
		}
		away := fmt.Errorf("read: %w", context.DeadlineExceeded)
		for range 100 {
			for range 10 {
				answered("GetOrder", away)
			}
			<-time.After(250 * time.Millisecond)
		}
		answered("ListOrders", away)
		answered("GetOrder", ErrStopping)
		for range 3 {
			answered("GetOrder", errSecret)
		}
		<-time.After(time.Minute)
		answered("GetOrder", away)
		answered("GetOrder", away)
		i.refusals.Stop()

		var got []string
		lines, _ := log.of("rpc")
		for _, line := range lines {
			got = append(got, fmt.Sprint(line["method"], " ", line["code"]))
		}
		const get, list = "order.v1.OrderService/GetOrder ", "order.v1.OrderService/ListOrders "
		if diff := cmp.Diff([]string{
			get + "UNAVAILABLE", get + "UNAVAILABLE", get + "UNAVAILABLE", // one in each ten seconds
			list + "UNAVAILABLE", get + "UNAVAILABLE",
			get + "INTERNAL", get + "INTERNAL", get + "INTERNAL", get + "UNAVAILABLE",
		}, got); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		calls := 0.0
		lines, _ = log.of("refused")
		for _, line := range lines {
			calls += line["calls"].(float64)
			if line["reason"] != "DATABASE_UNAVAILABLE" || line["level"] != "WARN" {
				t.Errorf("got %v, want a WARN with the reason", line)
			}
		}
		if len(lines) != 4 || calls != 998 {
			t.Errorf("got %d lines of %v calls, want 3 and 1 of 997 and 1", len(lines), calls)
		}
	})
}

// A client has a field wrong in each of its calls, and another asks for what he may not see. Each is told at once, with
// who it is, and how often, at the level of what happens every day; what is right is told to who looks closer alone.
func TestTheMistakesOfAClientAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLogLines()
		usual := slog.New(slog.NewJSONHandler(log, nil))
		i := interceptorOf(log)
		i.log, i.refusals = usual, NewSampler(usual)
		answered := func(who string, err error) {
			ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: identity.Peer{ID: who}})
			_, _ = i.unary(ctx, &orderv1.GetOrderRequest{}, getOrder,
				func(context.Context, any) (any, error) { return &orderv1.GetOrderResponse{}, err })
		}
		var fields validate.Fields
		fields.Add("order_id", "got none")
		for range 100 {
			answered("shop", fields.Err())
			answered("shop", nil)
		}
		answered("stranger", &NotAllowed{"stranger may not"})
		i.refusals.Stop()
		var got []string
		for _, message := range []string{"rpc", "refused"} {
			lines, _ := log.of(message)
			for _, line := range lines {
				about := []any{line["level"], line["code"], line["identity"], line["calls"]}
				got = append(got, fmt.Sprintf("%v %v %v %v", about...))
			}
		}
		want := []string{
			"INFO INVALID_ARGUMENT shop <nil>", "INFO PERMISSION_DENIED stranger <nil>",
			"INFO INVALID_ARGUMENT shop 99",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

// A call that is refused at the door has a line as well.
func TestARefusalAtTheDoorIsTold(t *testing.T) {
	t.Parallel()
	s, _ := laned(t, &orders{}, full(t))
	for range 3 {
		wantCode(t, s.get(t.Context()), codes.ResourceExhausted)
	}
	if line := s.log.call(t); line["level"] != "WARN" || line["code"] != "RESOURCE_EXHAUSTED" {
		t.Errorf("got %v, want a WARN", line)
	}
	s.stop()
	if line := s.log.await(t, "refused"); line["calls"] != 2.0 || line["reason"] != "OVERLOADED" {
		t.Errorf("got %v, want the two others told at the end", line)
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
