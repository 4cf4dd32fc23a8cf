package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"hosho/internal/orderdb"
	"hosho/internal/validate"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(min(asked, maxPageSize))
}

// A page token is base64url of a version byte, the last id of the page before (16 bytes), and the first 16 bytes of a
// hash over these and the filters. The hash finds what was cut, altered or made for other filters. It keeps no secret,
// and needs none: a token gives access to nothing.
const (
	tokenVersion = 1
	idEnd        = 1 + len(uuid.UUID{})
	hashLength   = 16
)

// toToken continues a list below an order's id.
func toToken(lastID string, f orderdb.Filter) string {
	id := uuid.MustParse(lastID) // it comes out of a uuid column
	token := append([]byte{tokenVersion}, id[:]...)
	return base64.RawURLEncoding.EncodeToString(append(token, tokenHash(token, f)...))
}

// fromToken answers the id that a list goes on below, "" for the first page, or a *validate.Error.
func fromToken(token string, f orderdb.Filter) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != idEnd+hashLength || raw[0] != tokenVersion ||
		!slices.Equal(raw[idEnd:], tokenHash(raw[:idEnd], f)) {
		var fields validate.Fields
		fields.Add("page_token", "got one that is damaged or belongs to another list, want a next_page_token of the same filters")
		return "", fields.Err()
	}
	return uuid.UUID(raw[1:idEnd]).String(), nil
}

// tokenHash has its length before each filter, so that no two pairs of them look the same.
func tokenHash(token []byte, f orderdb.Filter) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s %d %s", token, len(f.CustomerID), f.CustomerID, len(f.Status), f.Status))
	return sum[:hashLength]
}
