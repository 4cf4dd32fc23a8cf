// Package protowrite encodes protobuf messages by hand, where messages come by the thousand: none is made, measured and
// visited, and what is in it is copied once.
//
// Its promise: the protobuf library reads what was written.
package protowrite

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Text appends a field that is a string, or bytes.
func Text[T string | []byte](b []byte, field protowire.Number, text T) []byte {
	return append(varint(tag(b, field, protowire.BytesType), uint64(len(text))), text...)
}

// Number appends a field that is a number. Zero is what a field is that is not there.
func Number(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return varint(tag(b, field, protowire.VarintType), uint64(n))
}

// Time appends a field that is a google.protobuf.Timestamp.
func Time(b []byte, field protowire.Number, t time.Time) []byte {
	b, begin := Begin(b, field)
	return End(Number(Number(b, 1, t.Unix()), 2, int64(t.Nanosecond())), begin)
}

// Duration appends a field that is a google.protobuf.Duration.
func Duration(b []byte, field protowire.Number, d time.Duration) []byte {
	b, begin := Begin(b, field)
	return End(Number(Number(b, 1, int64(d/time.Second)), 2, int64(d%time.Second)), begin)
}

// Begin begins a field that is a message, whose own fields follow. End takes where those begin.
func Begin(b []byte, field protowire.Number) (_ []byte, begin int) {
	b = append(tag(b, field, protowire.BytesType), 0)
	return b, len(b)
}

// End ends a message. Its length stands before it, and has one byte until it turns out to need more.
func End(b []byte, begin int) []byte {
	size := len(b) - begin
	if size < oneByte {
		b[begin-1] = byte(size)
		return b
	}
	more := protowire.SizeVarint(uint64(size)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[begin+more:], b[begin:begin+size])
	protowire.AppendVarint(b[:begin-1], uint64(size))
	return b
}

// oneByte is more than what a varint of one byte is. Nearly all are less, and two thirds of the time was spent in
// looking for their ends.
const oneByte = 1 << 7

func tag(b []byte, field protowire.Number, t protowire.Type) []byte {
	return varint(b, protowire.EncodeTag(field, t))
}

func varint(b []byte, n uint64) []byte {
	if n < oneByte {
		return append(b, byte(n))
	}
	return protowire.AppendVarint(b, n)
}
