package main

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/validate"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// page is what a request to list parked commands asks for.
type page struct {
	after int64 // the last command of the page before, 0 for the first page
	size  int
}

// readPage answers a *validate.Error when the request breaks rules.
func readPage(r *relayv1.ListParkedRequest) (page, error) {
	var f validate.Fields
	f.Range("page_size", int64(r.GetPageSize()), 0, math.MaxInt32)
	p := page{size: pageSize(r.GetPageSize())}
	if r.GetPageToken() != "" {
		var ok bool
		if p.after, ok = readPageToken(r.GetPageToken()); !ok {
			f.Add("page_token", "got a token that was not made by this method, want a next_page_token")
		}
	}
	return p, f.Err()
}

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return min(int(asked), maxPageSize)
}

// A page token is the id of the page's last command, opaque to clients so that it may change.
const tokenPrefix = "parked/1:"

var tokenEncoding = base64.RawURLEncoding.Strict() // one spelling for each token

func pageToken(last int64) string {
	return tokenEncoding.EncodeToString([]byte(tokenPrefix + strconv.FormatInt(last, 10)))
}

func readPageToken(token string) (last int64, ok bool) {
	text, err := tokenEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	digits, found := strings.CutPrefix(string(text), tokenPrefix)
	if !found {
		return 0, false
	}
	last, err = strconv.ParseInt(digits, 10, 64)
	return last, err == nil && last > 0
}
