package protowrite_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/protowrite"
)

// Durations of either sign, with and without a part of a second.
func TestADurationThatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, -1, time.Second, -time.Second, 90*time.Minute + 7, -90*time.Minute - 7} {
		want := &relayv1.Attempt{Latency: durationpb.New(d)}
		got := &relayv1.Attempt{}
		err := proto.Unmarshal(protowrite.Duration(nil, 8, d), got)
		if err != nil || !proto.Equal(want, got) {
			t.Errorf("%v: got %v, error %v", d, got, err)
		}
	}
}

// Whatever the sizes and the numbers: what is written is what the library reads.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	numbers := []int64{0, 1, -1, 127, 128, math.MaxInt64, math.MinInt64}
	times := []time.Time{time.Unix(0, 0), time.Unix(-1, 5), time.Unix(1<<33, 999_999_999)}
	for _, size := range []int{0, 1, 60, 120, 127, 128, 129, 1000, 1<<14 - 1, 1 << 14, 1 << 16} {
		for i, n := range numbers {
			text, at := strings.Repeat("x", size), times[i%len(times)]
			want := &paymentv1.ChargePaymentRequest{
				PaymentId: text, CustomerId: "茶", NotAfter: timestamppb.New(at),
				Amount: &moneyv1.Money{CurrencyCode: text, AmountMinor: n},
			}
			b := protowrite.Text([]byte("before"), 1, text)
			b = protowrite.Text(b, 2, []byte("茶"))
			b, begin := protowrite.Begin(b, 3)
			b = protowrite.End(protowrite.Number(protowrite.Text(b, 1, text), 2, n), begin)
			b = protowrite.Time(b, 4, at)
			got := &paymentv1.ChargePaymentRequest{}
			if err := proto.Unmarshal(b[len("before"):], got); err != nil || !proto.Equal(want, got) {
				t.Fatalf("got %v, error %v, want %v", got, err, want)
			}
		}
	}
}
