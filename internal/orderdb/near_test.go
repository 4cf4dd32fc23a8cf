package orderdb

import (
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
)

// madeIn are ids that were made in these milliseconds.
func madeIn(milliseconds ...uint64) (ids [][16]byte) {
	for _, at := range milliseconds {
		id := uuid.Must(uuid.NewV7())
		random := binary.BigEndian.Uint64(id[:8]) & 0xffff
		binary.BigEndian.PutUint64(id[:8], at<<16|random)
		ids = append(ids, id)
	}
	return ids
}

func TestOrdersLieNearEachOtherWhenTheyWereMadeTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ids  [][16]byte
		near bool
	}{
		{"none", nil, false},
		{"one", madeIn(7), true},
		{"two in one millisecond", madeIn(7, 7), true},
		{"two in two", madeIn(7, 8), false},
		{"as many as in four", madeIn(9, 8, 8, 8, 7, 8, 8, 8), true},
		{"fewer than that", madeIn(9, 8, 8, 8, 6, 8, 8, 8), false},
		{"one that is older", madeIn(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1), false},
		{"at the ends of time", madeIn(0, 1<<48-1), false},
		{"of no time", [][16]byte{uuid.New(), uuid.New(), uuid.New(), uuid.New()}, false},
	} {
		got, near := nearSpan(c.ids)
		if near != c.near {
			t.Errorf("%s: got near %t, want %t", c.name, near, c.near)
		}
		for _, id := range c.ids {
			first, last := uuid.UUID(got.first.Bytes).String(), uuid.UUID(got.last.Bytes).String()
			if one := uuid.UUID(id).String(); one < first || one > last {
				t.Errorf("%s: got from %s to %s, which leaves out %s", c.name, first, last, one)
			}
		}
	}
}
