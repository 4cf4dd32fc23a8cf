package page_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"hosho/internal/page"
	"hosho/internal/validate"
)

func TestATokenIsReadBackForItsOwnListOnly(t *testing.T) {
	t.Parallel()
	last := page.Position(uuid.Must(uuid.NewV7()))
	lists := [][]string{
		{"orders", "", ""},
		{"payments", "", ""},
		{"orders", "alice", ""},
		{"orders", "alic", "e"},
		{"orders", "", "alice"},
		{"orders", "alice", "PENDING"},
		{"orders", "alice", "COMPLETED"},
		{"orders", "alice"},
	}
	for _, made := range lists {
		token := page.Token(last, made...)
		for _, used := range lists {
			got, err := page.Read(token, used...)
			if ok := err == nil; ok != slices.Equal(used, made) || ok && *got != last {
				t.Errorf("made for %q, used for %q: got %v, error %v; want %v for its own list",
					made, used, got, err, last)
			}
		}
	}
}

// The page after one that has no rows begins where that stopped looking for some.
func TestAPageGoesOnWhereItsListDoes(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]int64{nil, {7}, {7, 8}} {
		for _, rest := range []int64{0, 8, 99} {
			got, next := page.Cut(rows, wrapperspb.Int64, page.AtNumber, page.AfterNumber(rest), "parked")
			last, err := page.Read(next, "parked")
			if len(got) != len(rows) || (next == "") != (rest == 0) || err != nil || last.Number() != rest {
				t.Errorf("%v and the rest after %d: got %d rows and the token of %d, error %v",
					rows, rest, len(got), last.Number(), err)
			}
		}
	}
}

// A page of the largest rows ends at a mebibyte, and the next one begins where it ended. A row that is larger by itself
// is a page of its own.
func TestAPageEndsAtAMebibyte(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	for rowSize, want := range map[int]int{0: 1000, 200: 1000, 40 << 10: 25, mebibyte / 2: 1, 2 * mebibyte: 1} {
		text := strings.Repeat("x", rowSize)
		message := func(id int64) *anypb.Any { return &anypb.Any{TypeUrl: text} }
		rows := make([]int64, 1000)
		for i := range rows {
			rows[i] = int64(i + 1)
		}
		got, next := page.Cut(rows, message, page.AtNumber, page.AfterNumber(1000), "parked")
		size := 0
		for _, m := range got {
			size += proto.Size(m)
		}
		if len(got) != want || size > mebibyte && len(got) > 1 {
			t.Errorf("rows of %d bytes: got %d of them, %d bytes, want %d", rowSize, len(got), size, want)
		}
		if last, err := page.Read(next, "parked"); err != nil || last.Number() != int64(want) {
			t.Errorf("rows of %d bytes: got the token of %d, error %v; want that of %d",
				rowSize, last.Number(), err, want)
		}
	}
}

func TestADamagedTokenIsRefused(t *testing.T) {
	t.Parallel()
	token := page.Token(page.Position(uuid.New()), "orders")
	for end := 1; end < len(token); end++ { // an empty token is the first page
		if _, err := page.Read(token[:end], "orders"); err == nil {
			t.Errorf("cut to %d of %d characters: got it accepted", end, len(token))
		}
	}
	for _, other := range []string{token + "A", token + "=", " " + token, token + token, "!", "page 2"} {
		if _, err := page.Read(other, "orders"); err == nil {
			t.Errorf("%q: got it accepted", other)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := page.Read(base64.RawURLEncoding.EncodeToString(raw), "orders"); err == nil {
			t.Errorf("bit %d turned: got it accepted", bit)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

func TestNoTokenMakesTheReaderPanic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "raw")
		if _, err := page.Read(base64.RawURLEncoding.EncodeToString(raw), "orders"); err == nil {
			t.Errorf("%x: got random bytes accepted", raw)
		}
		_, _ = page.Read(rapid.String().Draw(t, "text"), "orders")
	})
}

func TestTheSizeHasADefaultAndAMost(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{0: 50, 1: 1, 50: 50, 1000: 1000, 1001: 1000, 1_000_000_000: 1000} {
		if got := page.Size(asked); got != want {
			t.Errorf("%d: got %d, want %d", asked, got, want)
		}
	}
	var f validate.Fields
	if page.CheckSize(&f, 0); f.Err() != nil {
		t.Errorf("0: got %v, want it let through", f.Err())
	}
	if page.CheckSize(&f, -1); f.Err() == nil {
		t.Error("-1: got it let through")
	}
}

func TestPositionsKeepTheirKeys(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	if at := page.AtUUID(id); at.UUID() != id {
		t.Errorf("got %s, want %s", at.UUID(), id)
	}
	for _, id := range []int64{1, 7, 1<<63 - 1} {
		if at := page.AtNumber(id); at.Number() != id {
			t.Errorf("got %d, want %d", at.Number(), id)
		}
	}
	if at := page.AfterUUID(id); at.UUID() != id {
		t.Errorf("got %s, want %s", at.UUID(), id)
	}
	if page.AfterUUID("") != nil || page.AfterNumber(0) != nil {
		t.Error("after nothing: got a position, want none")
	}
	var first *page.Position
	if first.UUID() != "" || first.Number() != 0 {
		t.Errorf("before the first row: got %q and %d, want nothing", first.UUID(), first.Number())
	}
}
