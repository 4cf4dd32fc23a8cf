package protoread

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
)

// Money reads an amount into an empty one, and reports whether that was all.
func Money(into *moneyv1.Money, message string) bool {
	r := Read(message)
	for field, more := r.Next(); more; field, more = r.Next() {
		switch field {
		case Of(1, Bytes):
			into.CurrencyCode = r.Text()
		case Of(2, Varint):
			into.AmountMinor = int64(r.Number())
		default:
			return false
		}
	}
	return r.Whole()
}

// Timestamp reads a time into an empty one, and reports whether that was all.
func Timestamp(into *timestamppb.Timestamp, message string) bool {
	r := Read(message)
	for field, more := r.Next(); more; field, more = r.Next() {
		switch field {
		case Of(1, Varint):
			into.Seconds = int64(r.Number())
		case Of(2, Varint):
			into.Nanos = int32(r.Number())
		default:
			return false
		}
	}
	return r.Whole()
}
