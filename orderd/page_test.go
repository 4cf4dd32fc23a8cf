package main

import (
	"encoding/base64"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"hosho/internal/order"
	"hosho/internal/orderdb"
)

func TestAPageTokenIsReadBackForItsOwnFiltersOnly(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7()).String()
	filters := []orderdb.Filter{
		{},
		{CustomerID: "alice"},
		{CustomerID: "alic"},
		{CustomerID: "PENDING"},
		{Status: order.Pending},
		{CustomerID: "alice", Status: order.Pending},
		{CustomerID: "alice", Status: order.Completed},
	}
	for _, made := range filters {
		token := toToken(id, made)
		for _, used := range filters {
			got, err := fromToken(token, used)
			if ok := err == nil; ok != (used == made) || ok && got != id {
				t.Errorf("made for %+v, used for %+v: got %s, error %v; want %s for its own filters", made, used, got, err, id)
			}
		}
	}
}

func TestADamagedPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	f := orderdb.Filter{CustomerID: "alice"}
	token := toToken(uuid.NewString(), f)
	for end := 1; end < len(token); end++ { // an empty token is the first page
		if _, err := fromToken(token[:end], f); err == nil {
			t.Errorf("cut to %d of %d characters: got it accepted", end, len(token))
		}
	}
	for _, other := range []string{token + "A", token + "=", " " + token, token + token, "!", "page 2"} {
		if _, err := fromToken(other, f); err == nil {
			t.Errorf("%q: got it accepted", other)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := fromToken(base64.RawURLEncoding.EncodeToString(raw), f); err == nil {
			t.Errorf("bit %d turned: got it accepted", bit)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

func TestNoPageTokenMakesTheReaderPanic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw")
		if got, err := fromToken(base64.RawURLEncoding.EncodeToString(raw), orderdb.Filter{}); got != "" || (err == nil) != (len(raw) == 0) {
			t.Errorf("%x: got random bytes accepted", raw)
		}
		_, _ = fromToken(rapid.String().Draw(t, "text"), orderdb.Filter{})
	})
}

func TestThePageSizeHasADefaultAndAMost(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{0: 50, 1: 1, 50: 50, 1000: 1000, 1001: 1000, 1_000_000_000: 1000} {
		if got := pageSize(asked); got != want {
			t.Errorf("%d: got %d, want %d", asked, got, want)
		}
	}
}
