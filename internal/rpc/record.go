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

// record writes the one line that a call gets, if the log is to have it. The client sees the status; whoever reads the
// log sees the cause. Of refusals and of clients' mistakes, which come by the thousand, the first of a kind has a line,
// and the others a common one.
func (i interceptor) record(
	ctx context.Context, method string, start time.Time, err, answer error, story func() []slog.Attr,
) {
	name, code, took := strings.TrimPrefix(method, "/"), status.Code(answer), time.Since(start)
	i.metrics.calls.count(method, code, took)
	if refuses(answer) {
		i.metrics.count(Reason(answer), took)
	}
	panicked := (*panicError)(nil)
	loud := errors.As(err, &panicked) // whatever the client was told: it may have gone before
	level := Severity(code)
	if loud {
		level = slog.LevelError
	}
	if !i.log.Enabled(ctx, level) || sampled(level) && !i.refusals.Tells(ctx, name, code, Reason(answer)) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", name),
		slog.String("code", rpccode.Code(code).String()),
		slog.Duration("took", took),
	}
	if id := identity.Of(ctx); id != "" {
		attrs = append(attrs, slog.String("identity", id))
	}
	attrs = append(attrs, story()...)
	switch {
	case loud:
		attrs = append(attrs, slog.String("error", Brief(panicked.Error(), longestStack)))
	case err != nil:
		attrs = append(attrs, slog.String("error", Brief(err.Error(), longestError)))
	}
	logline.Write(ctx, i.log, level, "rpc", attrs...)
}

// Severity is how loud the log is about an answer: faults of ours, faults of the moment, mistakes of the client. What
// went well, and what the client gave up itself, is for who looks closer: what it changed has a line of its own.
func Severity(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.Canceled:
		return slog.LevelDebug
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Unauthenticated:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// sampled reports whether lines of a level may come by the thousand for one cause. Each fault of ours is told.
func sampled(level slog.Level) bool { return level == slog.LevelInfo || level == slog.LevelWarn }

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
