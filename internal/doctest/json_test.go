package doctest

import (
	"fmt"
	"strings"
	"testing"
)

// differAsJSON is differ for JSON: it counts neither where a line ends nor whether there is a blank.
func differAsJSON(want, got []string) string {
	w, g := blankless(want), blankless(got)
	if holds(g, strings.Split(w, anything)) {
		return ""
	}
	return fmt.Sprintf("the page shows (masked)\n  %s\nand this run printed\n  %s", w, g)
}

func blankless(lines []string) string {
	return strings.ReplaceAll(strings.Join(masked(lines), ""), " ", "")
}

// holds reports whether a text is the parts, with anything between them.
func holds(text string, parts []string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return text == first
	}
	rest, begins := strings.CutPrefix(text, first)
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if begins = begins && found; !begins {
			return false
		}
		rest = after
	}
	return begins && strings.HasSuffix(rest, last)
}

func TestJSONIsCompared(t *testing.T) {
	const got = `{"order":{"id":"01a20932-e8c8-76da-b1a4-47b2e3640735","price":"9999","at":"2026-11-28T09:12:24.2Z"}}`
	tests := []struct {
		want string
		same bool
	}{
		{got, true},
		{"{\"order\": {\n  \"id\": \"01a20999-0000-76da-b1a4-47b2e3640735\",\n  \"price\": \"9999\",\n" +
			"  \"at\": \"2027-01-01T00:00:00Z\"}}", true},
		{`{"order": {"id": ..., "price": "9999", ...}}`, true},
		{`...`, true},
		{`... "price": "9999" ...`, true},
		{`{"order": {"id": ..., "price": "9998", ...}}`, false},
		{`{"order": {"id": ..., "price": "9999"}}`, false},
		{`... "at": ..., "price": ...`, false},
		{`"price": "9999" ...`, false},
		{``, false},
	}
	for _, tt := range tests {
		finding := differAsJSON(strings.Split(tt.want, "\n"), []string{got})
		if (finding == "") != tt.same {
			t.Errorf("%s: got the finding %q", tt.want, finding)
		}
	}
}
