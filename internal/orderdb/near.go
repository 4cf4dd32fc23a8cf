package orderdb

import (
	"bytes"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// nearPerMillisecond is how many of some orders must have been made in each millisecond between their first and their
// last, so that to read all orders in between takes less than to look each up. A database writes three or four times as
// many in a millisecond: what lies between them and is nobody's business is a few rows for each of theirs.
const nearPerMillisecond = 4

// span is the ids from one on up to another, both included.
type span struct{ first, last pgtype.UUID }

// nearSpan returns the span of some ids, and whether they lie near each other in it, as those of a batch do that was
// placed together. The first six bytes of an order's id are the millisecond in which it was made (UUIDv7). Of other ids
// they are anything, and it reads as if the orders had been made far apart.
func nearSpan(ids [][16]byte) (s span, near bool) {
	if len(ids) == 0 {
		return span{}, false
	}
	first, last := &ids[0], &ids[0]
	for i := range ids {
		switch id := &ids[i]; {
		case bytes.Compare(id[:], first[:]) < 0:
			first = id
		case bytes.Compare(id[:], last[:]) > 0:
			last = id
		}
	}
	s = span{pgtype.UUID{Bytes: *first, Valid: true}, pgtype.UUID{Bytes: *last, Valid: true}}
	return s, madeAt(*last)-madeAt(*first) <= uint64(len(ids)/nearPerMillisecond)
}

// madeAt is the millisecond that a UUIDv7 begins with.
func madeAt(id [16]byte) uint64 { return binary.BigEndian.Uint64(id[:8]) >> 16 }
