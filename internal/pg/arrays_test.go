package pg_test

import (
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/pg"
)

// array is a value as it was sent before, and as an array of this package.
type array struct {
	oid         uint32
	plain, ours any
}

func arrays(n int) []array {
	var (
		texts   = make([]string, n)
		ids     = make([][16]byte, n)
		numbers = make([]int64, n)
		times   = make([]time.Time, n)
		moments = make([]*time.Time, n)
	)
	for i := range n {
		texts[i], numbers[i] = fmt.Sprint("茶", i), int64(i)-1<<40
		ids[i][i%16] = byte(i)
		if i%3 > 0 {
			times[i] = time.Unix(int64(i)<<30, 1000*int64(i))
			moments[i] = &times[i]
		}
	}
	return []array{
		{pgtype.TextArrayOID, texts, pg.Texts(texts)},
		{pgtype.UUIDArrayOID, ids, pg.UUIDs(ids)},
		{pgtype.Int8ArrayOID, numbers, pg.Int64s(numbers)},
		{pgtype.TimestamptzArrayOID, moments, pg.Times(times)},
	}
}

// What is sent is what pgx sends of Go's own slices, to a server that tells what it takes, and to one that is not
// asked.
func TestArraysAreSentAsSlices(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7} {
		for _, a := range arrays(n) {
			got := encoded(t, a.oid, pgtype.BinaryFormatCode, a.ours)
			if want := encoded(t, a.oid, pgtype.BinaryFormatCode, a.plain); !cmp.Equal(got, want) {
				t.Errorf("%T of %d: got %x, want %x", a.ours, n, got, want)
			}
			text, err := a.ours.(driver.Valuer).Value()
			if want := string(encoded(t, a.oid, pgtype.TextFormatCode, a.plain)); err != nil || text != want {
				t.Errorf("%T of %d as text: got %s, error %v; want %s", a.ours, n, text, err, want)
			}
		}
	}
	for _, a := range []array{
		{oid: pgtype.TextArrayOID, ours: pg.Texts(nil)},
		{oid: pgtype.UUIDArrayOID, ours: pg.UUIDs(nil)},
		{oid: pgtype.Int8ArrayOID, ours: pg.Int64s(nil)},
		{oid: pgtype.TimestamptzArrayOID, ours: pg.Times(nil)},
	} {
		if got := encoded(t, a.oid, pgtype.BinaryFormatCode, a.ours); got != nil {
			t.Errorf("%T: got %x, want NULL", a.ours, got)
		}
	}
}

func encoded(t *testing.T, oid uint32, format int16, value any) []byte {
	t.Helper()
	sent, err := pgtype.NewMap().Encode(oid, format, value, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// BenchmarkArrays tells what an element costs, as Go's slice, as an array of this package, and sent whole.
func BenchmarkArrays(b *testing.B) {
	const n = 230
	whole := types(b)
	for _, a := range arrays(n) {
		for _, sent := range []struct {
			how   string
			types *pgtype.Map
			value any
		}{
			{"slice", pgtype.NewMap(), a.plain}, {"elements", pgtype.NewMap(), a.ours}, {"whole", whole, a.ours},
		} {
			b.Run(fmt.Sprintf("%T/%s", a.ours, sent.how), func(b *testing.B) {
				room := make([]byte, 0, 1<<16)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := sent.types.Encode(a.oid, pgtype.BinaryFormatCode, sent.value, room); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
