package pg_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// ids makes n UUIDs.
func ids(n int) []string {
	made := make([]string, n)
	for i := range made {
		made[i] = uuid.NewString()
	}
	return made
}

// What a wake-up is about is named in it, each once, in as few NOTIFYs as can hold it. One that is about anything, and
// one that is about too much, is empty.
func TestAWakeUpNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	const each = 213 // UUIDs that one NOTIFY can hold
	db := pgtest.Empty(t)
	conn, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `LISTEN `+pgx.Identifier{channel}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		calls [][]string
		sent  int  // NOTIFYs
		named bool // what they are about is
	}{
		{"one", [][]string{ids(1)}, 1, true},
		{"a call each", [][]string{ids(1), ids(1), ids(1)}, 1, true},
		{"as many as one holds", [][]string{ids(each)}, 1, true},
		{"one more", [][]string{ids(each), ids(1)}, 2, true},
		{"the most", [][]string{ids(2000)}, 10, true},
		{"too much", [][]string{ids(2000), ids(1)}, 1, false},
		{"anything", [][]string{nil}, 1, false},
		{"something, and anything", [][]string{ids(1), nil}, 1, false},
		{"anything, and something", [][]string{nil, ids(1)}, 1, false},
	} {
		w := pg.NewWaker(db.Pool, channel)
		for _, about := range test.calls {
			w.WakeAbout(about...) // before it runs: they share one
		}
		run(t, w.Run)
		var heard []string
		for range test.sent {
			note, err := conn.WaitForNotification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, note.Payload)
		}
		want := ""
		if test.named {
			want = strings.Join(slices.Concat(test.calls...), ",")
		}
		if got := strings.Join(heard, ","); got != want {
			t.Errorf("%s: got %.100q..., want %.100q...", test.name, got, want)
		}
	}
}
