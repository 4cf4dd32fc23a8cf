package main

import (
	"slices"
	"testing"
)

// Whichever commands are so: each is asked about once, and either kind keeps its order.
func TestCommandsAreKeptApart(t *testing.T) {
	t.Parallel()
	for so := range 1 << 6 {
		for n := range 7 {
			var commands []command
			for i := range n {
				commands = append(commands, command{sentID: string(rune('a' + i))})
			}
			var asked, want, wantOthers string
			for i, c := range commands {
				if so>>i&1 == 1 {
					want += c.sentID
				} else {
					wantOthers += c.sentID
				}
			}
			those, others := apart(slices.Clone(commands), func(c *command) bool {
				asked += c.sentID
				return so>>(c.sentID[0]-'a')&1 == 1
			})
			if ids(those) != want || ids(others) != wantOthers || asked != ids(commands) {
				t.Errorf("%d of %b: got %q and %q, asked %q; want %q and %q",
					n, so, ids(those), ids(others), asked, want, wantOthers)
			}
			if got := joined(others, those); ids(got) != wantOthers+want {
				t.Errorf("%d of %b: got %q joined, want %q", n, so, ids(got), wantOthers+want)
			}
		}
	}
}

func ids(commands []command) (all string) {
	for _, c := range commands {
		all += c.sentID
	}
	return all
}
