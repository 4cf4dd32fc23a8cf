package orderdb

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/pgtest"
)

// A column that a connection sends whole is what pgx sends of its elements.
func TestAColumnIsSentWholeAsByElements(t *testing.T) {
	t.Parallel()
	conn, err := pgtest.Empty(t).Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	wanted := []*wanting{
		{
			new: &NewOrder{
				CustomerID: "alice", RequestID: "茶", Currency: "JPY", AmountMinor: -1 << 40, Traceparent: "00-1",
			},
			id: pgtype.UUID{Bytes: [16]byte{1, 15: 2}, Valid: true}, requestHash: data{1, 2}, payload: data{},
			items: json.RawMessage(`[{"name":"tea","quantity":2}]`),
		},
		{new: &NewOrder{}, id: pgtype.UUID{Valid: true}, items: json.RawMessage(`[]`)},
	}
	for _, some := range [][]*wanting{wanted, wanted[1:], nil} {
		for name, c := range map[string]column{
			"ids": ids(some), "customers": customers(some), "request ids": requestIDs(some),
			"request hashes": requestHashes(some), "items": itemLists(some), "amounts": amounts(some),
			"currencies": currencies(some), "payloads": payloads(some), "trace contexts": traceparents(some),
		} {
			got, err := conn.Conn().TypeMap().Encode(c.array, pgtype.BinaryFormatCode, c, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, err := pgtype.NewMap().Encode(c.array, pgtype.BinaryFormatCode, c, nil)
			if err != nil || !cmp.Equal(got, want) {
				t.Errorf("%d %s: got %x, error %v; want %x", len(some), name, got, err, want)
			}
		}
	}
}
