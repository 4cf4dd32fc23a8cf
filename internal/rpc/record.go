package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"hosho/internal/identity"
	"hosho/internal/logline"
)

// What a line tells of an error is bounded: a request of some bytes can break a hundred rules.
const (
	longestError = 1 << 10
	longestStack = 8 << 10
)

// record writes the one line that a call gets. The client sees the status; whoever reads the log sees the cause. Of
// refusals, which come by the thousand, the first of a kind has a line, and the others a common one.
func (i interceptor) record(ctx context.Context, method string, start time.Time, err, answer error, story []slog.Attr) {
	refusal := refuses(answer)
	var reason string
	if refusal {
		reason = Reason(answer)
		i.metrics.count(method, reason, start)
	}
	panicked := (*panicError)(nil)
	loud := errors.As(err, &panicked) // whatever the client was told: it may have gone before
	name, code := strings.TrimPrefix(method, "/"), status.Code(answer)
	if refusal && !loud && !i.refusals.Tells(name, code, reason) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", name),
		slog.String("code", rpccode.Code(code).String()),
		slog.Duration("took", time.Since(start)),
	}
	if id := identity.Of(ctx); id != "" {
		attrs = append(attrs, slog.String("identity", id))
	}
	attrs = append(attrs, story...)
	switch {
	case loud:
		attrs = append(attrs, slog.String("error", Brief(panicked.Error(), longestStack)))
	case err != nil:
		attrs = append(attrs, slog.String("error", Brief(err.Error(), longestError)))
	}
	logline.Write(ctx, i.log, severity(code, loud), "rpc", attrs...)
}

// severity is how loud the log is about an answer: faults of ours, faults of the moment, the rest.
func severity(code codes.Code, panicked bool) slog.Level {
	if panicked {
		return slog.LevelError
	}
	switch code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// storyID finds the id by which a call's line belongs to the story of one order. A payment's id is its order's.
func storyID(messages ...any) []slog.Attr {
	for _, m := range messages {
		switch m := m.(type) {
		case interface{ GetOrderId() string }:
			return idAttr("order_id", m.GetOrderId())
		case interface{ GetPaymentId() string }:
			return idAttr("payment_id", m.GetPaymentId())
		case proto.Message: // a reply that holds an order, of which the request could not know the id
			fields := m.ProtoReflect()
			if order := fields.Descriptor().Fields().ByName("order"); order != nil && order.Message() != nil {
				return storyID(fields.Get(order).Message().Interface())
			}
		}
	}
	return nil
}

// idAttr keeps what is no id, and may be anything of any length, out of the log. The error says what came instead,
// quoted and cut short.
func idAttr(name, id string) []slog.Attr {
	if uuid.Validate(id) != nil {
		return nil
	}
	return []slog.Attr{slog.String(name, id)}
}
