package pg

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
)

// Array is an array that the connections of Open's pools send whole. To pgx each element is a value of its own, for
// which it asks what it is and who encodes it: that is most of what it takes to send one.
type Array interface {
	pgtype.ArrayGetter

	// Type returns the OID of the array's type.
	Type() uint32
	// Append adds an element as PostgreSQL reads it in binary, or nothing, and false, where it is NULL.
	Append(b []byte, i int) (_ []byte, valid bool)
}

// sendArrays has a connection send Arrays whole.
func sendArrays(types *pgtype.Map) {
	for _, oid := range []uint32{
		pgtype.TextArrayOID, pgtype.UUIDArrayOID, pgtype.Int8ArrayOID, pgtype.TimestamptzArrayOID,
		pgtype.ByteaArrayOID, pgtype.JSONBArrayOID,
	} {
		known, _ := types.TypeForOID(oid)
		types.RegisterType(&pgtype.Type{
			OID: oid, Name: known.Name, Codec: arrayCodec{known.Codec.(*pgtype.ArrayCodec)},
		})
	}
}

// arrayCodec is pgx's, but for Arrays in binary.
type arrayCodec struct{ *pgtype.ArrayCodec }

// PlanEncode is called by pgx, once for each type of values.
func (c arrayCodec) PlanEncode(types *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if a, whole := value.(Array); whole && a.Type() == oid && format == pgtype.BinaryFormatCode {
		return arrayPlan{array: oid, element: c.ElementType.OID}
	}
	return c.ArrayCodec.PlanEncode(types, oid, format, value)
}

// arrayPlan sends arrays of a type.
type arrayPlan struct{ array, element uint32 }

const (
	aNull    = 1<<32 - 1 // the length of an element that is NULL
	hasNulls = 1
)

// Encode is called by pgx.
func (p arrayPlan) Encode(value any, b []byte) ([]byte, error) {
	a := value.(Array)
	if a.Type() != p.array {
		return nil, fmt.Errorf("got an array of type %d, want %d", a.Type(), p.array)
	}
	dimensions := a.Dimensions()
	if dimensions == nil {
		return nil, nil
	}
	length := int(dimensions[0].Length)
	b = binary.BigEndian.AppendUint32(b, 1) // dimension
	nulls := len(b)
	for _, field := range []uint32{0, p.element, uint32(length), 1} {
		b = binary.BigEndian.AppendUint32(b, field)
	}
	for i := range length {
		size, valid := len(b), false
		b = binary.BigEndian.AppendUint32(b, aNull)
		if b, valid = a.Append(b, i); valid {
			binary.BigEndian.PutUint32(b[size:], uint32(len(b)-size-4))
		} else {
			binary.BigEndian.PutUint32(b[nulls:], hasNulls)
		}
	}
	return b, nil
}

// Type is called where an array is sent, as the others below.
func (Texts) Type() uint32 { return pgtype.TextArrayOID }

// Append adds a text.
func (a Texts) Append(b []byte, i int) ([]byte, bool) { return append(b, a[i]...), true }

// Type is called where an array is sent.
func (UUIDs) Type() uint32 { return pgtype.UUIDArrayOID }

// Append adds a UUID.
func (a UUIDs) Append(b []byte, i int) ([]byte, bool) { return append(b, a[i][:]...), true }

// Type is called where an array is sent.
func (Int64s) Type() uint32 { return pgtype.Int8ArrayOID }

// Append adds a number.
func (a Int64s) Append(b []byte, i int) ([]byte, bool) {
	return binary.BigEndian.AppendUint64(b, uint64(a[i])), true
}

// Type is called where an array is sent.
func (Times) Type() uint32 { return pgtype.TimestamptzArrayOID }

// millennium is when PostgreSQL's times begin, in seconds since 1970.
const millennium = 946_684_800

// Append adds a time.
func (a Times) Append(b []byte, i int) ([]byte, bool) {
	if a[i].IsZero() {
		return b, false
	}
	microseconds := (a[i].Unix()-millennium)*1e6 + int64(a[i].Nanosecond()/1e3)
	return binary.BigEndian.AppendUint64(b, uint64(microseconds)), true
}
