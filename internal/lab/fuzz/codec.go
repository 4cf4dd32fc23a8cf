package fuzz

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// codec sends bytes as they are and receives them so.
type codec struct{ encoding.CodecV2 }

// Name is that of the codec whose messages these are said to be.
func (codec) Name() string { return "proto" }

// Marshal returns the bytes that v is.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal copies what came to the bytes that v points to.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
