package outbox

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// A wake-up names words that are no longer than UUIDs, with commas between.
func TestNewsAreToldAndRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		token := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "token")).String()
		at := time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, "at"))
		n := rapid.IntRange(1, MaxBatch).Draw(t, "n")
		word := Table{Standing: "CHARGE"}.NewsOf(&token, at, n)
		if len(word) > len(token) {
			t.Errorf("got %q, want a word of %d bytes at most", word, len(token))
		}
		got, ok := readNews(word)
		if want := (news{"CHARGE", token[:8], at, n}); !ok || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", word, got, ok, want)
		}
	})
}

func TestWhatAreNoNews(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"", "CHARGE", "VOID", looked, gone + " 01234567", "A B C", "CHARGE 01234567 abc", "CHARGE 01234567 abc x",
		"CHARGE 01234567 a,c 1", "CHARGE 01234567 abc 0", "CHARGE 01234567 abc -1", "CHARGE 01234567 abc 1 1",
		"CHARGE 01234567 zzzzzzzzzzzzzzzzzzzzzzzzz 1",
	} {
		if got, ok := readNews(word); ok {
			t.Errorf("%q: got %+v, want no news", word, got)
		}
	}
}
