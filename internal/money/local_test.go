package money_test

import (
	"math"
	"strings"
	"testing"

	"github.com/bojanz/currency"
	"pgregory.net/rapid"

	"hosho/internal/money"
)

func TestAmountsAreWrittenAsALanguageHasThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		minor             int64
		code              string
		english, japanese string
	}{
		{1200, "JPY", "¥1,200", "￥1,200"},
		{1999, "USD", "$19.99", "$19.99"},
		{-123_456_789, "EUR", "-€1,234,567.89", "-€1,234,567.89"},
		{5, "HUF", "HUF\u00a00.05", "HUF\u00a00.05"},
		{1999, "DEM", "1999 DEM in its minor unit", "1999 DEM in its minor unit"},
	} {
		if got := money.Local(tt.minor, tt.code, "en"); got != tt.english {
			t.Errorf("%d %s: got %q, want %q", tt.minor, tt.code, got, tt.english)
		}
		if got := money.Local(tt.minor, tt.code, "ja"); got != tt.japanese {
			t.Errorf("%d %s in Japanese: got %q, want %q", tt.minor, tt.code, got, tt.japanese)
		}
	}
}

// However a language writes it, the digits are those of the amount.
func TestALanguageChangesNoAmount(t *testing.T) {
	t.Parallel()
	codes := rapid.SampledFrom(currency.GetCurrencyCodes())
	digits := func(text string) string {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, text)
	}
	rapid.Check(t, func(r *rapid.T) {
		minor, code := rapid.Int64().Draw(r, "minor"), codes.Draw(r, "code")
		want := digits(money.Text(minor, code))
		for _, lang := range []string{"en", "ja"} {
			if got := digits(money.Local(minor, code, lang)); got != want {
				r.Errorf("%d %s in %s: got the digits %s, want %s", minor, code, lang, got, want)
			}
		}
	})
}

func TestDigitsStandInGroups(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -999: "-999", -1000: "-1,000", 1234567: "1,234,567",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := money.Grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
