package pg

import (
	"database/sql/driver"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Arrays as statements about many rows take them, a column each. pgx sends a slice of Go's as well, but has each
// element in room of its own before, and finds out by reflection what it is: two thirds of what it takes to send one. A
// nil one is NULL, as pgx has it.
type (
	// Texts is a text[].
	Texts []string
	// UUIDs is a uuid[].
	UUIDs [][16]byte
	// Int64s is a bigint[].
	Int64s []int64
	// Times is a timestamptz[], in which the zero time is NULL.
	Times []time.Time
)

// Dimensions is called by pgx, as the others below.
func (a Texts) Dimensions() []pgtype.ArrayDimension { return dimensions(a == nil, len(a)) }

// Index returns an element where it is.
func (a Texts) Index(i int) any { return (*text)(&a[i]) }

// IndexType returns what Index returns.
func (Texts) IndexType() any { return (*text)(nil) }

// Dimensions is called by pgx.
func (a UUIDs) Dimensions() []pgtype.ArrayDimension { return dimensions(a == nil, len(a)) }

// Index returns an element where it is.
func (a UUIDs) Index(i int) any { return (*id)(&a[i]) }

// IndexType returns what Index returns.
func (UUIDs) IndexType() any { return (*id)(nil) }

// Dimensions is called by pgx.
func (a Int64s) Dimensions() []pgtype.ArrayDimension { return dimensions(a == nil, len(a)) }

// Index returns an element where it is.
func (a Int64s) Index(i int) any { return (*number)(&a[i]) }

// IndexType returns what Index returns.
func (Int64s) IndexType() any { return (*number)(nil) }

// Dimensions is called by pgx.
func (a Times) Dimensions() []pgtype.ArrayDimension { return dimensions(a == nil, len(a)) }

// Index returns an element where it is.
func (a Times) Index(i int) any { return (*moment)(&a[i]) }

// IndexType returns what Index returns.
func (Times) IndexType() any { return (*moment)(nil) }

// Value returns the array as text, for a pooler that knows no prepared statements: pgx asks no server then what it
// takes.
func (a Texts) Value() (driver.Value, error) { return literal(pgtype.TextArrayOID, a, a == nil) }

// Value returns the array as text.
func (a UUIDs) Value() (driver.Value, error) { return literal(pgtype.UUIDArrayOID, a, a == nil) }

// Value returns the array as text.
func (a Int64s) Value() (driver.Value, error) { return literal(pgtype.Int8ArrayOID, a, a == nil) }

// Value returns the array as text.
func (a Times) Value() (driver.Value, error) { return literal(pgtype.TimestamptzArrayOID, a, a == nil) }

func literal(oid uint32, array any, null bool) (driver.Value, error) {
	if null {
		return nil, nil
	}
	text, err := pgtype.NewMap().Encode(oid, pgtype.TextFormatCode, array, nil)
	return string(text), err
}

func dimensions(null bool, length int) []pgtype.ArrayDimension {
	if null {
		return nil
	}
	return []pgtype.ArrayDimension{{Length: int32(length), LowerBound: 1}}
}

type (
	text   string
	id     [16]byte
	number int64
	moment time.Time
)

// TextValue is called by pgx, as the others below.
func (t *text) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(*t), Valid: true}, nil
}

// UUIDValue is called by pgx.
func (u *id) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: *u, Valid: true}, nil }

// Int64Value is called by pgx.
func (n *number) Int64Value() (pgtype.Int8, error) {
	return pgtype.Int8{Int64: int64(*n), Valid: true}, nil
}

// TimestamptzValue is called by pgx.
func (m *moment) TimestamptzValue() (pgtype.Timestamptz, error) {
	t := time.Time(*m)
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}, nil
}
