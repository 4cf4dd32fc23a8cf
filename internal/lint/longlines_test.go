package main

import (
	"strings"
	"testing"
)

func TestColumns(t *testing.T) {
	for line, want := range map[string]int{
		"":                                 0,
		"\t\tx":                            9,
		"// " + strings.Repeat("é", 117):   120,
		"\t// " + strings.Repeat("x", 114): 121,
	} {
		if got := columns(line); got != want {
			t.Errorf("%q: got %d columns, want %d", line, got, want)
		}
	}
}
