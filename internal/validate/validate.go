// Package validate collects what is wrong with a request, field by field.
//
// Its promise: a message says field, got and want; it never repeats raw input that could break a terminal or a log.
package validate

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/bojanz/currency"
	"github.com/google/uuid"

	"hosho/internal/plain"
)

// Violation is one rule that one field breaks.
type Violation struct {
	Field       string // the path as in the proto, "items[3].quantity"
	Description string // got and want
}

func (v Violation) String() string { return v.Field + ": " + v.Description }

// Error is a request that breaks rules.
type Error struct {
	Violations []Violation // at least one
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.String()
	}
	return strings.Join(lines, "; ")
}

// Fields collects violations. The zero value is ready.
type Fields struct {
	violations []Violation
}

// Add notes a violation.
func (f *Fields) Add(field, format string, args ...any) {
	f.violations = append(f.violations, Violation{field, fmt.Sprintf(format, args...)})
}

// AddOf notes what an element of a list was found at fault for. Its fields are named only now, when there are any: that
// is rare, and each order has items.
func (f *Fields) AddOf(list string, place int, element *Fields) {
	for _, v := range element.violations {
		f.violations = append(f.violations, Violation{fmt.Sprintf("%s[%d].%s", list, place, v.Field), v.Description})
	}
}

// Err returns an *Error, or nil when nothing was noted.
func (f *Fields) Err() error {
	if len(f.violations) == 0 {
		return nil
	}
	return &Error{f.violations}
}

// Form checks a text against a form that the caller owns; want says it in words.
func (f *Fields) Form(field, got string, form *regexp.Regexp, want string) {
	if !form.MatchString(got) {
		f.Add(field, "got %s, want %s", shown(got), want)
	}
}

// ID checks an id that a client made: customer_id, request_id.
func (f *Fields) ID(field, got string) {
	if !isID(got) {
		f.Add(field, "got %s, want 1 to 64 of A-Z a-z 0-9 . _ : -", shown(got))
	}
}

// isID is no regular expression: each order has two ids, and one took as long as all other checks of it together.
func isID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}

var operatorForm = regexp.MustCompile(`^[A-Za-z0-9._:@-]{1,64}$`)

// Operator checks the name of a person: an id that may be a mail address.
func (f *Fields) Operator(field, got string) {
	f.Form(field, got, operatorForm, "1 to 64 of A-Z a-z 0-9 . _ : @ -")
}

// Line checks a text of one line that a person wrote and others will read, in any script: 1 to most characters, all of
// them plain.
func (f *Fields) Line(field, got string, most int) {
	if n := utf8.RuneCountInString(got); n < 1 || n > most {
		f.Add(field, "got %d characters, want 1 to %d", n, most)
	}
	if at, what := plain.Fault(got); at >= 0 {
		f.Add(field, "got %s at byte %d, want one line without control characters and what is not seen", what, at)
	}
}

// UUID checks an id that we made, in its canonical form of 36 characters, and returns it in lower case, as PostgreSQL
// writes it; "" when it is none.
func (f *Fields) UUID(field, got string) string {
	if isCanonical(got) {
		return got
	}
	id, err := uuid.Parse(got)
	if err != nil || id.String() != strings.ToLower(got) {
		f.Add(field, "got %s, want a UUID such as 0190b6a4-7c5e-7d3a-8f00-0123456789ab", shown(got))
		return ""
	}
	return id.String()
}

// isCanonical reports whether an id is as PostgreSQL writes it, which nearly all are.
func isCanonical(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		default:
			return false
		}
	}
	return len(id) == 36
}

// Range checks a number against its bounds, both allowed.
func (f *Fields) Range(field string, got, low, high int64) {
	if got < low || got > high {
		f.Add(field, "got %d, want %d to %d", got, low, high)
	}
}

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

// CurrencyForm checks that a currency could be one.
func (f *Fields) CurrencyForm(field, got string) {
	f.Form(field, got, currencyForm, "three capital letters such as JPY")
}

// Currency checks that a currency is in use today (ISO 4217, as the Unicode CLDR has it).
func (f *Fields) Currency(field, got string) {
	switch {
	case got != "" && currency.IsValid(got):
	case !currencyForm.MatchString(got):
		f.CurrencyForm(field, got)
	default:
		f.Add(field, "got %s, want an active currency code of ISO 4217 such as JPY", shown(got))
	}
}

// shown quotes what was got, in ASCII and cut short.
func shown(got string) string {
	const most = 64
	if len(got) > most {
		return fmt.Sprintf("%+q... (%d bytes)", got[:most], len(got))
	}
	return fmt.Sprintf("%+q", got)
}
