package main

import (
	"encoding/base64"
	"strconv"
	"strings"

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

// A page token is base64url of a version and the id of the last command on the page before.
const tokenPrefix = "parked/1:"

// toToken continues the list after a command's id.
func toToken(last int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + strconv.FormatInt(last, 10)))
}

// fromToken answers the id that the list goes on after, 0 for the first page, or a *validate.Error.
func fromToken(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	digits, ours := strings.CutPrefix(string(text), tokenPrefix)
	last, wrong := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ours || wrong != nil || last < 1 {
		var fields validate.Fields
		fields.Add("page_token", "got one that is damaged or belongs to another list, want a next_page_token of this one")
		return 0, fields.Err()
	}
	return last, nil
}
