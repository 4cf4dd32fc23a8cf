package paymentdb

import (
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

// key is a payment's key as the database holds it. It is sent and received as 16 bytes, of which nobody parses a text.
type key = [16]byte

// keyOf reads a key in the one form that the Store's keys have.
func keyOf(id string) (k key, err error) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return k, fmt.Errorf("key %.64q is no UUID", id)
	}
	var digits [32]byte
	n := 0
	for _, part := range [...]string{id[:8], id[9:13], id[14:18], id[19:23], id[24:]} {
		n += copy(digits[n:], part)
	}
	if _, err := hex.Decode(k[:], digits[:]); err != nil {
		return k, fmt.Errorf("key %q is no UUID", id)
	}
	return k, nil
}

// keyed is requests with their keys. Of the same key twice the first decides.
type keyed struct {
	requests []payment.Request
	keys     []key       // of each request
	by       []int       // which request decides each: the first of its key
	first    map[key]int // which that is
	fresh    []bool      // of those that are the first of their key: whether it was decided just now
}

func newKeyed(requests []payment.Request) (*keyed, error) {
	n := len(requests)
	k := &keyed{requests, make([]key, n), make([]int, n), make(map[key]int, n), make([]bool, n)}
	for i := range requests {
		at, err := keyOf(requests[i].ID)
		if err != nil {
			return nil, err
		}
		first, known := k.first[at]
		if !known {
			first = i
			k.first[at] = i
		}
		k.keys[i], k.by[i] = at, first
	}
	return k, nil
}

// decides reports whether a request is the first of its key.
func (k *keyed) decides(i int) bool { return k.by[i] == i }

// stored is what is known to be stored under the keys of requests, where the first of each key stands; elsewhere, and
// where nothing is known, there is a payment without a status.
type stored []payment.Payment

// nothing is that nothing is known.
func (k *keyed) nothing() stored { return make(stored, len(k.requests)) }

func (s stored) known(i int) bool { return s[i].Status != payment.None }

// add takes over what others knows.
func (s stored) add(others stored) {
	for i := range others {
		if others.known(i) {
			s[i] = others[i]
		}
	}
}

// without returns the keys of which nothing is known to be stored, each once.
func (k *keyed) without(known stored) (others []key) {
	for i, at := range k.keys {
		if k.decides(i) && !known.known(i) {
			others = append(others, at)
		}
	}
	return others
}

// uuids are keys as pgx sends them without looking at each by reflection.
func uuids(keys []key) pgtype.FlatArray[pgtype.UUID] {
	out := make(pgtype.FlatArray[pgtype.UUID], len(keys))
	for i, k := range keys {
		out[i] = pgtype.UUID{Bytes: k, Valid: true}
	}
	return out
}

// arrays are the first requests of their keys, a column each, as unnest takes them.
type arrays struct {
	ids        pg.UUIDs
	customers  pg.Texts
	amounts    pg.Int64s
	currencies pg.Texts
}

func (k *keyed) arrays() *arrays {
	n := len(k.first)
	a := &arrays{make(pg.UUIDs, 0, n), make(pg.Texts, 0, n), make(pg.Int64s, 0, n), make(pg.Texts, 0, n)}
	for i := range k.requests {
		if r := &k.requests[i]; k.decides(i) {
			a.ids = append(a.ids, k.keys[i])
			a.customers = append(a.customers, r.CustomerID)
			a.amounts = append(a.amounts, r.AmountMinor)
			a.currencies = append(a.currencies, r.Currency)
		}
	}
	return a
}
