package outbox

import (
	"testing"
	"time"

	"hosho/internal/pgtest"
)

// What the server tells is what a worker reads, to the microsecond: by that it finds the rows.
func TestNewsAreToldAndRead(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for _, token := range []*string{new("01234567-89ab-cdef-0123-456789abcdef"), nil} {
		var word string
		var at time.Time
		err := db.Pool.QueryRow(t.Context(), `
			WITH taker AS (SELECT $1::uuid AS token)
			SELECT `+Table{Standing: "CHARGE"}.wordOf("taker", "$2::integer")+`, statement_timestamp()`,
			token, MaxBatch).Scan(&word, &at)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := readNews(word)
		switch {
		case token == nil && word != "CHARGE":
			t.Errorf("nobody holds them: got %q, want CHARGE", word)
		case token != nil && (!ok || got.kind != "CHARGE" || got.name != nameOf(*token) || !got.at.Equal(at) ||
			got.n != MaxBatch):
			t.Errorf("%q: got %+v, %v, want %d at %v of %s", word, got, ok, MaxBatch, at, *token)
		}
	}
}

func TestWhatAreNoNews(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"", "CHARGE", "VOID", looked, gone + " 01234567", "A B C", "CHARGE 01234567 12", "CHARGE 01234567 12 x",
		"CHARGE 01234567 1,2 1", "CHARGE 01234567 12 0", "CHARGE 01234567 12 -1", "CHARGE 01234567 12 1 1",
		"CHARGE 01234567 99999999999999999999 1", "CHARGE 01234567 abc 1",
	} {
		if got, ok := readNews(word); ok {
			t.Errorf("%q: got %+v, want no news", word, got)
		}
	}
}
