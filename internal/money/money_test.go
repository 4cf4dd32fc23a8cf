package money_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bojanz/currency"
	"pgregory.net/rapid"

	"hosho/internal/money"
)

func TestAmountsAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for want, give := range map[string]struct {
		minor int64
		code  string
	}{
		"19.99 USD":                     {1999, "USD"},
		"1.999 KWD":                     {1999, "KWD"},
		"1999 JPY":                      {1999, "JPY"},
		"0.01 USD":                      {1, "USD"},
		"0.00 EUR":                      {0, "EUR"},
		"0 JPY":                         {0, "JPY"},
		"-0.05 USD":                     {-5, "USD"},
		"0.0001 UYW":                    {1, "UYW"},
		"999999999.99 HUF":              {99_999_999_999, "HUF"},
		"-9223372036854775.808 BHD":     {math.MinInt64, "BHD"},
		"1999 DEM in its minor unit":    {1999, "DEM"},
		"1999  in its minor unit":       {1999, ""},
		"1999 dollar in its minor unit": {1999, "dollar"},
	} {
		if got := money.Text(give.minor, give.code); got != want {
			t.Errorf("%d %s: got %q, want %q", give.minor, give.code, got, want)
		}
	}
}

// digits are those that are not 2, as list one of ISO 4217 has them, which SIX publishes.
var digits = map[int]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
	3: "BHD IQD JOD KWD LYD OMR TND",
	4: "CLF UYW",
}

func digitsOf(code string) int {
	for n, codes := range digits {
		if strings.Contains(codes, code) {
			return n
		}
	}
	return 2
}

// Not those of cash, nor those that a locale likes better: HUF has 2 and IQD has 3.
func TestEveryActiveCurrencyHasItsDigits(t *testing.T) {
	t.Parallel()
	for _, code := range currency.GetCurrencyCodes() {
		form := regexp.MustCompile(`^(0|[1-9][0-9]*) ` + code + `$`)
		if n := digitsOf(code); n > 0 {
			form = regexp.MustCompile(`^(0|[1-9][0-9]*)\.[0-9]{` + strconv.Itoa(n) + `} ` + code + `$`)
		}
		for _, minor := range []int64{0, 1, 9, 10, 1999, 99_999_999_999, math.MaxInt64} {
			got := money.Text(minor, code)
			if !form.MatchString(got) || minorOf(t, got) != minor {
				t.Errorf("%d of the minor unit of %s: got %q, want %s", minor, code, got, form)
			}
		}
	}
}

// minorOf reads what a person reads.
func minorOf(t testing.TB, text string) int64 {
	number, code, _ := strings.Cut(text, " ")
	whole, fraction, _ := strings.Cut(number, ".")
	minor, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || len(fraction) != digitsOf(code) {
		t.Errorf("%q: %v, and a fraction of %d digits; want %d", text, err, len(fraction), digitsOf(code))
	}
	return minor
}

func TestWhatIsWrittenIsWhatWasMeant(t *testing.T) {
	t.Parallel()
	codes := rapid.SampledFrom(currency.GetCurrencyCodes())
	rapid.Check(t, func(r *rapid.T) {
		minor, code := rapid.Int64().Draw(r, "minor"), codes.Draw(r, "code")
		text := money.Text(minor, code)
		number, same := strings.CutSuffix(text, " "+code)
		amount, err := currency.NewAmount(number, code)
		if err != nil || !same {
			r.Fatalf("got %q of %s: %v", text, code, err)
		}
		if got := amount.BigInt().Int64(); got != minor {
			r.Errorf("%d of the minor unit of %s reads %q, which is %d", minor, code, text, got)
		}
		if got := minorOf(t, text); minor > -1 && got != minor {
			r.Errorf("%d of the minor unit of %s reads %q, which is %d", minor, code, text, got)
		}
	})
}

func TestSumsNameEachCurrency(t *testing.T) {
	t.Parallel()
	got := money.Sums(map[string]int64{"USD": 1999, "JPY": 500})
	if want := "500 JPY, 19.99 USD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := money.Sums(nil); got != "none" {
		t.Errorf("got %q, want none", got)
	}
}
