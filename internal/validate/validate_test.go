package validate_test

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/validate"
)

func TestNothingWrongIsNoError(t *testing.T) {
	t.Parallel()
	var f validate.Fields
	f.ID("customer_id", "alice")
	if err := f.Err(); err != nil { // a plain nil, not a nil *Error
		t.Errorf("got %v, want nil", err)
	}
}

func TestAllViolationsAreToldAtOnceInTheOrderOfTheChecks(t *testing.T) {
	t.Parallel()
	var f validate.Fields
	f.ID("customer_id", "")
	f.Range("items[3].quantity", 0, 1, 10)
	f.Add("items", "got %d items, want at most %d", 101, 100)
	var got *validate.Error
	if err := f.Err(); !errors.As(err, &got) {
		t.Fatalf("got %v, want an *Error", err)
	}
	want := []validate.Violation{
		{Field: "customer_id", Description: `got "", want 1 to 64 of A-Z a-z 0-9 . _ : -`},
		{Field: "items[3].quantity", Description: "got 0, want 1 to 10"},
		{Field: "items", Description: "got 101 items, want at most 100"},
	}
	if diff := cmp.Diff(want, got.Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	text := `customer_id: got "", want 1 to 64 of A-Z a-z 0-9 . _ : -; ` +
		`items[3].quantity: got 0, want 1 to 10; items: got 101 items, want at most 100`
	if got.Error() != text {
		t.Errorf("got text %q, want %q", got.Error(), text)
	}
}

const uuid = "0190b6a4-7c5e-7d3a-8f00-0123456789ab"

func TestWhatPassesAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		check   func(f *validate.Fields, got string)
		passes  []string
		refuses []string
	}{
		"ID": {
			check:  func(f *validate.Fields, got string) { f.ID("x", got) },
			passes: []string{"a", "alice", "A-Z.a_z:09", strings.Repeat("x", 64), uuid},
			refuses: []string{
				"", " ", strings.Repeat("x", 65), "a b", "a/b", "alice\n", "\r\nalice", "a\x00b", "\x1b[31mred",
				"a\u202eb",
				"a\u200bb", "\u00e9", "ａ", "\xff", "a@b", "a'b", "%",
			},
		},
		"UUID": {
			check:  func(f *validate.Fields, got string) { f.UUID("x", got) },
			passes: []string{uuid, strings.ToUpper(uuid), "00000000-0000-0000-0000-000000000000"},
			refuses: []string{
				"", "abc", "{" + uuid + "}", "urn:uuid:" + uuid, strings.ReplaceAll(uuid, "-", ""), uuid + "0",
				uuid[1:],
				uuid + "\n", " " + uuid, strings.Replace(uuid, "0", "g", 1), strings.Replace(uuid, "-", "_", 1),
			},
		},
		"Currency": {
			check:   func(f *validate.Fields, got string) { f.Currency("x", got) },
			passes:  []string{"JPY", "USD", "EUR"},
			refuses: []string{"", "jpy", "JP", "JPYY", "ZZZ", "€€€", "€", "JPY\n", "XXX", "DEM"},
		},
		"Line": {
			check: func(f *validate.Fields, got string) { f.Line("x", got, 9) },
			passes: []string{
				"x", "a b; c", strings.Repeat("保", 9), "\u200fשלום",
				"👩\u200d👩\u200d👧", "نمی\u200cخوا", `a\nb`,
			},
			refuses: []string{
				"", strings.Repeat("x", 10), "NUL\x00", "a\nb", "a\rb", "a\tb", "\x1b[2J", "\u009b31m", "\x7f",
				"a\u202eb", "\u2066a\u2069", "a\u200bb", "\ufeffa", "a\u2028b", "a\u2029b", "\u2060", "so\u00adft",
				"\xff", "a\xc3(",
			},
		},
		"CurrencyForm": {
			check:   func(f *validate.Fields, got string) { f.CurrencyForm("x", got) },
			passes:  []string{"JPY", "ZZZ", "DEM"},
			refuses: []string{"", "jpy", "JP", "JPYY", "€€€", "€", "JPY\n"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, got := range test.passes {
				if err := check(test.check, got); err != nil {
					t.Errorf("%q: got %v, want no violation", got, err)
				}
			}
			for _, got := range test.refuses {
				if err := check(test.check, got); err == nil {
					t.Errorf("%q: got no violation, want one", got)
				}
			}
		})
	}
}

func check(check func(*validate.Fields, string), got string) error {
	var f validate.Fields
	check(&f, got)
	return f.Err()
}

// Every byte at either end of an id, and every length.
func TestAnIDIsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`\A[A-Za-z0-9._:-]{1,64}\z`)
	ids := []string{""}
	for c := range 256 {
		b := string([]byte{byte(c)})
		ids = append(ids, b, "a"+b, b+"a", strings.Repeat(b, c))
	}
	for _, id := range ids {
		err := check(func(f *validate.Fields, got string) { f.ID("x", got) }, id)
		if want := form.MatchString(id); (err == nil) != want {
			t.Errorf("%q: got error %v, want it valid: %v", id, err, want)
		}
	}
}

func TestRangeAllowsItsBounds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		got, low, high int64
		passes         bool
	}{
		{1, 1, 3, true},
		{3, 1, 3, true},
		{0, 1, 3, false},
		{4, 1, 3, false},
		{math.MinInt64, 1, 3, false},
		{math.MaxInt64, 1, 3, false},
		{math.MaxInt64, 1, math.MaxInt64, true},
	}
	for _, test := range tests {
		var f validate.Fields
		f.Range("n", test.got, test.low, test.high)
		if passes := f.Err() == nil; passes != test.passes {
			t.Errorf("%d in %d to %d: got passes %v, want %v", test.got, test.low, test.high, passes, test.passes)
		}
	}
}

// What a client sent comes back in an error and goes into a log: it must not be able to break either.
func TestMessagesHoldPrintableASCIIAndAreShort(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"\x1b[2J\r\n\x00", "\u202eright to left", "zero\u200bwidth", "\xff\xfe",
		strings.Repeat("\x00", 60_000), "日本語",
	} {
		var f validate.Fields
		f.ID("customer_id", evil)
		f.UUID("order_id", evil)
		f.Currency("currency_code", evil)
		f.Line("reason", evil, 500)
		text := f.Err().Error()
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Errorf("%.20q: got %q at byte %d of the message, want printable ASCII", evil, text[i], i)
		}
		if len(text) > 2000 {
			t.Errorf("%.20q: got a message of %d bytes, want a short one", evil, len(text))
		}
	}
}

func TestAUUIDIsReturnedAsTheDatabaseWritesIt(t *testing.T) {
	t.Parallel()
	var f validate.Fields
	if got := f.UUID("x", strings.ToUpper(uuid)); got != uuid {
		t.Errorf("got %q, want %q", got, uuid)
	}
	if got := f.UUID("x", "{"+uuid+"}"); got != "" {
		t.Errorf("no UUID: got %q, want nothing", got)
	}
}
