// Package plain is about text of others that stands on a line of ours: in the log, on a terminal, in an audit.
//
// Its promise: plain text stays on its line, in the order in which it is read, and all of it is seen. Whatever else
// somebody sends is shown and has no effect. It is written as JSON writes it, so that JSON stays JSON.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Is reports whether a character may stand on a line. Those that may not end the line, command a terminal, turn the
// direction of what follows, or are not seen. Joiners and the marks of a single direction may: emoji and some scripts
// need them.
func Is(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r < 0x7f
	}
	if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) {
		return false
	}
	return !unicode.Is(unicode.Cf, r) || needed(r)
}

// needed reports whether a script cannot be written without a format character.
func needed(r rune) bool {
	const arabicMark, leftToRight, rightToLeft = 0x061c, 0x200e, 0x200f
	return r == arabicMark || r == leftToRight || r == rightToLeft ||
		unicode.In(r, unicode.Join_Control, unicode.Prepended_Concatenation_Mark)
}

// Fault returns where the first character of a text is that is not plain, in bytes, and what it is: U+202E, or a byte
// that is no UTF-8. Where all is plain it returns -1.
func Fault(text string) (at int, what string) {
	for at, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[at:], "\ufffd") {
			return at, fmt.Sprintf("byte %#x, which is no UTF-8,", text[at])
		}
		if !Is(r) {
			return at, fmt.Sprintf("%U", r)
		}
	}
	return -1, ""
}

// Text is a text as it may stand on a line: plain text as it is, and the rest escaped. What is no UTF-8 is U+FFFD.
func Text(text string) string {
	if IsASCII(text) { // as most of the log is
		return text
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	if at, _ := Fault(text); at < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if Is(r) {
			out.WriteRune(r)
		} else {
			out.WriteString(escaped(r))
		}
	}
	return out.String()
}

// IsASCII reports whether all of a text is ASCII that may stand on a line.
func IsASCII[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// Lines is a text of several lines, each of which is plain.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Text(line)
	}
	return strings.Join(lines, "\n")
}

func escaped(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
