package pg_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// types returns what a connection of a pool knows of types, which it sends arrays with.
func types(t testing.TB) *pgtype.Map {
	t.Helper()
	conn, err := pgtest.Empty(t).Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	return conn.Conn().TypeMap()
}

// What a connection sends whole is what pgx sends element by element, whatever stands before it in the message. Text,
// and what is for a column of another type, it leaves to pgx.
func TestArraysAreSentWholeAsByElements(t *testing.T) {
	t.Parallel()
	whole := types(t)
	values := []array{
		{oid: pgtype.TextArrayOID, ours: pg.Texts(nil)},
		{oid: pgtype.UUIDArrayOID, ours: pg.UUIDs(nil)},
		{oid: pgtype.Int8ArrayOID, ours: pg.Int64s(nil)},
		{oid: pgtype.TimestamptzArrayOID, ours: pg.Times(nil)},
		{oid: pgtype.VarcharArrayOID, ours: pg.Texts{"a"}},
		{oid: pgtype.Int4ArrayOID, ours: pg.Int64s{1, 2}},
	}
	for _, n := range []int{0, 1, 7} {
		values = append(values, arrays(n)...)
	}
	for _, v := range values {
		for _, format := range []int16{pgtype.BinaryFormatCode, pgtype.TextFormatCode} {
			got, err := whole.Encode(v.oid, format, v.ours, []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := pgtype.NewMap().Encode(v.oid, format, v.ours, []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(got, want) {
				t.Errorf("%T for type %d, format %d: got %x, want %x", v.ours, v.oid, format, got, want)
			}
		}
	}
}
