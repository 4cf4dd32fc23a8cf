// Package page is how every List method pages (AIP-158).
//
// Its promise: a token continues the list that it was made for, and anything else is refused; it holds a position and
// no rows, so that it never gets old; and a page is never larger than clients accept.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"hosho/internal/validate"
)

const (
	defaultSize = 50
	maxSize     = 1000
	maxBytes    = 1 << 20 // of the messages of a page: clients take 4 MiB, unless somebody has told them otherwise
)

// CheckSize notes a page_size that breaks its rule.
func CheckSize(f *validate.Fields, asked int32) {
	if asked < 0 {
		f.Add("page_size", "got %d, want 0 (which is %d) or more", asked, defaultSize)
	}
}

// Size returns how many rows a page has, of a page_size that CheckSize let through.
func Size(asked int32) int {
	if asked == 0 {
		return defaultSize
	}
	return int(min(asked, maxSize))
}

// Position is the last row of a page: the bytes of its key.
type Position [16]byte

// AtUUID is the position of a row whose key is a UUID, as the database writes it.
func AtUUID(id string) Position { return Position(uuid.MustParse(id)) }

// AfterUUID is AtUUID of where a list goes on, nil when that is nowhere: "".
func AfterUUID(id string) *Position {
	if id == "" {
		return nil
	}
	p := AtUUID(id)
	return &p
}

// UUID returns the key of AtUUID, "" for the position before the first row.
func (p *Position) UUID() string {
	if p == nil {
		return ""
	}
	return uuid.UUID(*p).String()
}

// AtNumber is the position of a row whose key is a number.
func AtNumber(id int64) (p Position) {
	binary.BigEndian.PutUint64(p[len(p)-8:], uint64(id))
	return p
}

// AfterNumber is AtNumber of where a list goes on, nil when that is nowhere: 0.
func AfterNumber(id int64) *Position {
	if id == 0 {
		return nil
	}
	p := AtNumber(id)
	return &p
}

// Number returns the key of AtNumber, 0 for the position before the first row.
func (p *Position) Number() int64 {
	if p == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(p[len(p)-8:]))
}

// A token is base64url of a version byte, a position, and the first 16 bytes of a hash over these and the list. The
// hash finds what was cut, altered or made for another list. It keeps no secret, and needs none: a token gives access
// to nothing.
const (
	version     = 1
	positionEnd = 1 + len(Position{})
	hashLength  = 16
)

// Token continues a list after a position. The list is its name and its filters, in a fixed order.
func Token(last Position, list ...string) string {
	token := append([]byte{version}, last[:]...)
	return base64.RawURLEncoding.EncodeToString(append(token, hash(token, list)...))
}

// Read returns the position that a list goes on after, nil for the first page, or a *validate.Error.
func Read(token string, list ...string) (*Position, error) {
	if token == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != positionEnd+hashLength || raw[0] != version ||
		!slices.Equal(raw[positionEnd:], hash(raw[:positionEnd], list)) {
		var fields validate.Fields
		fields.Add("page_token", "got one that is damaged or belongs to another list, "+
			"want a next_page_token of the same list and filters")
		return nil, fields.Err()
	}
	last := Position(raw[1:positionEnd])
	return &last, nil
}

// Cut makes the messages of a page, and the token that continues the list; "" when the page is the last. The rows are
// as many as the page may have, and rest is where the list goes on after them, nil when it does not. The page ends
// earlier, before it is larger than a mebibyte.
func Cut[T any, M proto.Message](
	rows []T, message func(T) M, at func(T) Position, rest *Position, list ...string,
) (messages []M, next string) {
	room := maxBytes
	for i, row := range rows {
		m := message(row)
		room -= protowire.SizeTag(1) + protowire.SizeBytes(proto.Size(m)) // as it is among the reply's
		if i > 0 && room < 0 {
			return messages, Token(at(rows[i-1]), list...)
		}
		messages = append(messages, m)
	}
	if rest != nil {
		next = Token(*rest, list...)
	}
	return messages, next
}

// hash has each text's length before it, so that no two lists look the same.
func hash(token []byte, list []string) []byte {
	text := fmt.Appendf(nil, "%x", token)
	for _, part := range list {
		text = fmt.Appendf(text, " %d %s", len(part), part)
	}
	sum := sha256.Sum256(text)
	return sum[:hashLength]
}
