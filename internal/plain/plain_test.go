package plain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"hosho/internal/plain"
)

func TestWhatIsNotPlainIsShown(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"":                      "",
		"お茶, 茶 and thé":         "お茶, 茶 and thé",
		"👩\u200d👩\u200d👧 🏴":     "👩\u200d👩\u200d👧 🏴",
		"\u200fשלום":            "\u200fשלום",
		"نمی\u200cخواهم":        "نمی\u200cخواهم",
		`a back\slash`:          `a back\slash`,
		"ok\r\nORDER forged":    `ok\r\nORDER forged`,
		"a\tb":                  `a\tb`,
		"\x00":                  `\u0000`,
		"\x1b[2Jgone":           `\u001b[2Jgone`,
		"\u009b31m":             `\u009b31m`,
		"\x7f":                  `\u007f`,
		"999\u202e\u2066 USD":   `999\u202e\u2066 USD`,
		"a\u2028b\u2029c":       `a\u2028b\u2029c`,
		"al\u200bice\ufeff":     `al\u200bice\ufeff`,
		"so\u00adft \u2060":     `so\u00adft \u2060`,
		"tag\U000e0041":         `tag\udb40\udc41`,
		"\xff and \xc3\x28":     "\ufffd and \ufffd(",
		"\x9b is a byte of C1s": "\ufffd is a byte of C1s",
	} {
		if got := plain.Text(give); got != want {
			t.Errorf("%+q: got %+q, want %+q", give, got, want)
		}
	}
}

func TestTheFirstFaultIsNamed(t *testing.T) {
	t.Parallel()
	if at, what := plain.Fault("ab\u202ec\n"); at != 2 || what != "U+202E" {
		t.Errorf("got %d, %s; want 2, U+202E", at, what)
	}
	if at, what := plain.Fault("\ufffd\xc3("); at != 3 || what != "byte 0xc3, which is no UTF-8," {
		t.Errorf("got %d, %s; want 3, byte 0xc3", at, what)
	}
	if at, what := plain.Fault("お茶"); at != -1 || what != "" {
		t.Errorf("got %d, %s; want -1 and nothing", at, what)
	}
}

// texts hold what is hard to print among what is not.
func texts() *rapid.Generator[string] {
	hard := []rune("\x00\a\b\t\n\v\f\r\x1b\x7f\u0085\u009b\u00ad\u061c\u200b\u200d\u200f\u2028\u202a" +
		"\u202e\u2060\u2066\u2069\ufeff\ufffd")
	runes := rapid.OneOf(rapid.SampledFrom(hard), rapid.Rune(), rapid.RuneFrom(nil, unicode.Cf, unicode.Cc))
	return rapid.OneOf(rapid.StringOf(runes), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string {
		return string(b)
	}))
}

// Whatever comes, what is printed has no effect but that it is printed, and is printed the same when it was before.
func TestPlainTextHasNoEffect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		give := texts().Draw(r, "text")
		got := plain.Text(give)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) ||
			strings.ContainsAny(got, "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff") {
			r.Errorf("%+q: got %+q, want it plain", give, got)
		}
		if again := plain.Text(got); again != got {
			r.Errorf("%+q: got %+q, and of that %+q", give, got, again)
		}
		if at, _ := plain.Fault(give); at < 0 && got != give {
			r.Errorf("%+q is plain: got %+q", give, got)
		}
	})
}

// Every line of the log goes through it.
func BenchmarkText(b *testing.B) {
	line := strings.Repeat(`{"time":"2026-11-26T17:40:34Z","level":"INFO"}`, 8)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		plain.Text(line)
	}
}

// JSON that is printed means what it meant.
func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		give := strings.ToValidUTF8(texts().Draw(r, "text"), "\ufffd")
		text, err := json.Marshal(give)
		if err != nil {
			r.Fatal(err)
		}
		var got string
		if err := json.Unmarshal([]byte(plain.Text(string(text))), &got); err != nil || got != give {
			r.Errorf("%+q: got %+q, %v", give, got, err)
		}
	})
}
