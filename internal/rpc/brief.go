package rpc

import (
	"fmt"
	"unicode/utf8"
)

// Brief cuts a text that has more bytes than most, between two runes, and says how much was cut.
func Brief(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > most-utf8.UTFMax && end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d more bytes)", text[:end], len(text)-end)
}
