package protoread_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	"hosho/internal/protoread"
)

func TestNumbersAreReadAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	for shift := range 64 {
		for _, n := range []uint64{1 << shift, 1<<shift - 1, 1<<shift + 1} {
			text := protowire.AppendVarint(nil, n)
			r := protoread.Read(string(text) + "x")
			got := r.Number()
			if _, more := r.Next(); n <= math.MaxInt64 && (got != n || !more) {
				t.Errorf("%d: got %d, and more %t", n, got, more)
			} else if n > math.MaxInt64 && (more || r.Whole()) {
				t.Errorf("%d: got it read, want it left to the library", n)
			}
			for cut := range text {
				if r := protoread.Read(string(text[:cut])); r.Number() != 0 || r.Whole() {
					t.Errorf("%d of %d bytes of %d: got them read", cut, len(text), n)
				}
			}
		}
	}
}

// Whatever the bytes are: what is read is what the library reads.
func TestMessagesAreReadAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	for n := 0; n < 1<<24; n += 97 {
		text := string([]byte{8, byte(n), byte(n >> 8), byte(n >> 16)})
		if n%7 == 0 {
			text = string([]byte{10, byte(n), byte(n >> 8), byte(n >> 16)})
		}
		var at timestamppb.Timestamp
		if protoread.Timestamp(&at, text) {
			wantSame(t, text, &at, &timestamppb.Timestamp{})
		}
		var amount moneyv1.Money
		if protoread.Money(&amount, text) {
			wantSame(t, text, &amount, &moneyv1.Money{})
		}
	}
}

func wantSame(t *testing.T, text string, got, want proto.Message) {
	t.Helper()
	if err := proto.Unmarshal([]byte(text), want); err != nil {
		t.Fatalf("%x: got %v, want error %v", text, got, err)
	}
	if !proto.Equal(got, want) {
		t.Fatalf("%x: got %v, want %v", text, got, want)
	}
}
