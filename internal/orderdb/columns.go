package orderdb

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
)

// column is a column of the orders to be placed, as an array that pgx encodes. What it hands out is in the orders
// already: of a slice of values each would be copied to the heap first, and of pointers be looked at by reflection.
type column struct {
	wanted []*wanting
	what   func(*wanting) any
	array  uint32 // the OID of its type
}

// Value returns it as text, for a pooler that knows no prepared statements: pgx asks no server then what it takes.
func (c column) Value() (driver.Value, error) {
	literal, err := pgtype.NewMap().Encode(c.array, pgtype.TextFormatCode, c, nil)
	return string(literal), err
}

// Dimensions returns how many there are.
func (c column) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(c.wanted)), LowerBound: 1}}
}

// Index returns one of them.
func (c column) Index(i int) any { return c.what(c.wanted[i]) }

// IndexType returns something of their type.
func (c column) IndexType() any { return c.what(&wanting{new: &NewOrder{}}) }

// Type returns the OID of the array's type.
func (c column) Type() uint32 { return c.array }

// Append adds one of them as PostgreSQL reads it; NULL is nothing.
func (c column) Append(b []byte, i int) (_ []byte, valid bool) {
	const jsonb = 1 // its version
	switch v := c.what(c.wanted[i]).(type) {
	case *text:
		return append(b, *v...), *v != ""
	case *pgtype.UUID:
		return append(b, v.Bytes[:]...), true
	case *number:
		return binary.BigEndian.AppendUint64(b, uint64(*v)), true
	case *data:
		return append(b, *v...), *v != nil
	case *json.RawMessage:
		return append(append(b, jsonb), *v...), true
	default:
		panic(fmt.Sprintf("a column of %T", v)) // which the next test finds
	}
}

func ids(wanted []*wanting) column {
	return column{wanted, func(w *wanting) any { return &w.id }, pgtype.UUIDArrayOID}
}

func texts(wanted []*wanting, of func(*NewOrder) *string) column {
	return column{wanted, func(w *wanting) any { return (*text)(of(w.new)) }, pgtype.TextArrayOID}
}

func customers(wanted []*wanting) column {
	return texts(wanted, func(n *NewOrder) *string { return &n.CustomerID })
}

func requestIDs(wanted []*wanting) column {
	return texts(wanted, func(n *NewOrder) *string { return &n.RequestID })
}

func requestHashes(wanted []*wanting) column {
	return column{wanted, func(w *wanting) any { return &w.requestHash }, pgtype.ByteaArrayOID}
}

func itemLists(wanted []*wanting) column {
	return column{wanted, func(w *wanting) any { return &w.items }, pgtype.JSONBArrayOID}
}

func amounts(wanted []*wanting) column {
	return column{wanted, func(w *wanting) any { return (*number)(&w.new.AmountMinor) }, pgtype.Int8ArrayOID}
}

func currencies(wanted []*wanting) column {
	return texts(wanted, func(n *NewOrder) *string { return &n.Currency })
}

func payloads(wanted []*wanting) column {
	return column{wanted, func(w *wanting) any { return &w.payload }, pgtype.ByteaArrayOID}
}

func traceparents(wanted []*wanting) column {
	return texts(wanted, func(n *NewOrder) *string { return &n.Traceparent })
}

// text is NULL when there is none of it.
type text string

// TextValue returns it as pgx wants it.
func (t *text) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(*t), Valid: *t != ""}, nil
}

type number int64

// Int64Value returns it as pgx wants it.
func (n *number) Int64Value() (pgtype.Int8, error) {
	return pgtype.Int8{Int64: int64(*n), Valid: true}, nil
}

// data is NULL when it is nil.
type data []byte

// BytesValue returns it as pgx wants it.
func (d *data) BytesValue() ([]byte, error) { return *d, nil }
