package dispatch

import (
	"strings"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/protoread"
)

// The two messages of a stream are encoded and read by hand, with the numbers of the contract: as messages of their
// own, each made, measured and visited, they were a quarter of what an order costs this process. Tests hold both
// against the messages.

// request is a ProcessPaymentsRequest as it is sent. A command is in it as it stands in the outbox.
type request []byte

// encode puts deliveries into a request, each naming the payments database that is meant, unless that is empty.
func encode(bulk []*delivery, database string) request {
	size := 0
	for _, d := range bulk {
		size += len(d.message.Payload) + len(database) + len(d.traceparent) + 18
	}
	r := make(request, 0, size)
	for _, d := range bulk {
		r = r.add(d, database)
	}
	return r
}

// add adds a command. A field that comes last counts: that is the database.
func (r request) add(d *delivery, database string) request {
	kind, meant := protowire.Number(1), protowire.Number(5)
	if order.Command(d.message.Kind) == order.Void {
		kind, meant = 2, 4
	}
	size := len(d.message.Payload)
	if database != "" {
		size += protowire.SizeTag(meant) + protowire.SizeBytes(len(database))
	}
	whole := protowire.SizeTag(kind) + protowire.SizeBytes(size)
	if d.traceparent != "" {
		whole += protowire.SizeTag(traceparent) + protowire.SizeBytes(len(d.traceparent))
	}
	r = protowire.AppendTag(r, 1, protowire.BytesType)
	r = protowire.AppendVarint(r, uint64(whole))
	r = protowire.AppendTag(r, kind, protowire.BytesType)
	r = protowire.AppendVarint(r, uint64(size))
	r = append(r, d.message.Payload...)
	if database != "" {
		r = protowire.AppendString(protowire.AppendTag(r, meant, protowire.BytesType), database)
	}
	if d.traceparent != "" {
		r = protowire.AppendString(protowire.AppendTag(r, traceparent, protowire.BytesType), d.traceparent)
	}
	return r
}

// traceparent is the field of a PaymentCommand.
const traceparent = protowire.Number(3)

// wire is the codec of a stream: gRPC's own, but for what is encoded and read by hand.
type wire struct{ encoding.CodecV2 }

func newWire() wire { return wire{encoding.GetCodecV2(grpcproto.Name)} }

// Marshal is called by gRPC.
func (w wire) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(request); ok {
		return mem.BufferSlice{mem.SliceBuffer(r)}, nil
	}
	return w.CodecV2.Marshal(v)
}

// Unmarshal is called by gRPC.
func (w wire) Unmarshal(data mem.BufferSlice, v any) error {
	if reply, ok := v.(*paymentv1.ProcessPaymentsResponse); ok {
		var text strings.Builder
		text.Grow(data.Len())
		for _, part := range data {
			text.Write(part.ReadOnlyData())
		}
		if reply.Results, ok = results(text.String()); ok {
			return nil
		}
	}
	return w.CodecV2.Unmarshal(data, v)
}

// results reads a ProcessPaymentsResponse in which everything was decided, and has nothing that is not of the contract:
// which is nearly every one. It reports false for any other.
func results(text string) ([]*paymentv1.PaymentResult, bool) {
	n := 0
	for reader := protoread.Read(text); ; n++ {
		if field, more := reader.Next(); !more {
			break
		} else if field != protoread.Of(1, protoread.Bytes) {
			return nil, false
		}
		reader.Message()
	}
	all, reader := make([]*paymentv1.PaymentResult, n), protoread.Read(text)
	var room []decided
	for i := range all {
		if len(room) == 0 {
			room = make([]decided, min(together, n-i))
		}
		reader.Next()
		if all[i] = &room[0].result; !room[0].read(strings.Clone(reader.Message())) {
			return nil, false
		}
		room = room[1:]
	}
	return all, reader.Whole()
}

// together is for how many results room is made at once: for so few that one which is kept, because its order cannot be
// had, keeps no crowd of others.
const together = 16

// decided is what a result is made of.
type decided struct {
	result           paymentv1.PaymentResult
	outcome          paymentv1.PaymentResult_Payment
	payment          paymentv1.Payment
	amount           moneyv1.Money
	created, updated timestamppb.Timestamp
}

func (d *decided) read(text string) bool {
	reader := protoread.Read(text)
	for field, more := reader.Next(); more; field, more = reader.Next() {
		switch field {
		case protoread.Of(1, protoread.Bytes):
			d.result.PaymentId = reader.Text()
		case protoread.Of(2, protoread.Varint):
			d.result.Kind = paymentv1.PaymentResult_Kind(reader.Number())
		case protoread.Of(3, protoread.Bytes):
			if d.result.Outcome != nil || !d.readPayment(reader.Message()) {
				return false
			}
			d.outcome.Payment, d.result.Outcome = &d.payment, &d.outcome
		default:
			return false
		}
	}
	return d.result.Outcome != nil && reader.Whole()
}

func (d *decided) readPayment(text string) bool {
	into, reader := &d.payment, protoread.Read(text)
	for field, more := reader.Next(); more; field, more = reader.Next() {
		whole := true
		switch field {
		case protoread.Of(1, protoread.Bytes):
			into.PaymentId = reader.Text()
		case protoread.Of(2, protoread.Bytes):
			into.CustomerId = reader.Text()
		case protoread.Of(3, protoread.Bytes):
			whole = into.Amount == nil && protoread.Money(&d.amount, reader.Message())
			into.Amount = &d.amount
		case protoread.Of(4, protoread.Varint):
			into.Status = paymentv1.Payment_Status(reader.Number())
		case protoread.Of(5, protoread.Varint):
			into.DeclineReason = paymentv1.Payment_DeclineReason(reader.Number())
		case protoread.Of(6, protoread.Bytes):
			whole = into.CreateTime == nil && protoread.Timestamp(&d.created, reader.Message())
			into.CreateTime = &d.created
		case protoread.Of(7, protoread.Bytes):
			whole = into.UpdateTime == nil && protoread.Timestamp(&d.updated, reader.Message())
			into.UpdateTime = &d.updated
		default:
			return false
		}
		if !whole {
			return false
		}
	}
	return reader.Whole()
}
