// Package money writes amounts for people.
//
// Its promise: an amount is exact, and stands in the currency's major unit with as many digits as the currency has, as
// ISO 4217 lists them: 19.99 USD, 1.999 KWD, 1999 JPY. Where the digits are not known, it says so. Programs are told
// amounts in the minor unit, by the contract, the tables and the log.
package money

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bojanz/currency"
)

// Text is an amount, given in the currency's minor unit. A currency that is none today, as one that was withdrawn, has
// no digits that are known.
func Text(minor int64, code string) string {
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return fmt.Sprintf("%d %s in its minor unit", minor, code)
	}
	return amount.String()
}

// Sums is an amount of each currency, in its minor unit: 500 JPY, 19.99 USD.
func Sums(minor map[string]int64) string {
	texts := make([]string, 0, len(minor))
	for _, code := range slices.Sorted(maps.Keys(minor)) {
		texts = append(texts, Text(minor[code], code))
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}
