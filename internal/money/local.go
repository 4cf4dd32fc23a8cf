package money

import (
	"strconv"

	"github.com/bojanz/currency"
)

// Local is an amount as people of a language write it, given in the currency's minor unit: ¥1,200, -$19.99. It is as
// exact as Text.
func Local(minor int64, code, lang string) string {
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return Text(minor, code)
	}
	return currency.NewFormatter(currency.NewLocale(lang)).Format(amount)
}

// Grouped is a number with its digits in groups: 1,234,567.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for at := len(digits) - 3; at > first; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
