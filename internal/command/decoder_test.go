package command_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"hosho/internal/command"
	"hosho/internal/order"
)

// Whatever is done to a payload, a Decoder returns what Decode returns, and an error where that does.
func TestADecoderDecodesAsDecodeDoes(t *testing.T) {
	t.Parallel()
	for kind := range commands {
		payload := encode(t, kind)
		payloads := [][]byte{payload, slices.Concat(payload, payload), slices.Concat(payload, []byte{0x7a, 1, 'x'})}
		for at := range payload {
			payloads = append(payloads, payload[:at], slices.Delete(slices.Clone(payload), at, at+1))
			for b := range 256 {
				changed := slices.Clone(payload)
				changed[at] = byte(b)
				payloads = append(payloads, changed)
			}
		}
		var d command.Decoder
		for _, p := range payloads {
			want, failed := command.Decode(kind, tea.ID, p)
			got, err := d.Decode(kind, tea.ID, p)
			if (err == nil) != (failed == nil) || err == nil && !proto.Equal(want, got) {
				t.Fatalf("%s of %x: got %v, %v; want %v, %v", kind, p, got, err, want, failed)
			}
		}
	}
}

// A charge as Encode makes it is read without making its parts one by one.
func TestADecoderMakesRoomForMany(t *testing.T) {
	payload := encode(t, order.Charge)
	const n = 100
	made := testing.AllocsPerRun(10, func() {
		var d command.Decoder
		for range n {
			if _, err := d.Decode(order.Charge, tea.ID, payload); err != nil {
				t.Error(err)
			}
		}
	})
	if made > 1.2*n {
		t.Errorf("got %.0f allocations for %d charges, want little more than one of each", made, n)
	}
}
