package paymentdb

import "hosho/internal/payment"

// arrays are requests and what is decided of them, a column each, as unnest takes them.
type arrays struct {
	ids        []string
	customers  []string
	amounts    []int64
	currencies []string
	statuses   []payment.Status
	reasons    []payment.DeclineReason
	entries    []payment.Entry
}

func newArrays(n int) *arrays {
	return &arrays{
		ids: make([]string, 0, n), customers: make([]string, 0, n),
		amounts: make([]int64, 0, n), currencies: make([]string, 0, n),
		statuses: make([]payment.Status, 0, n), reasons: make([]payment.DeclineReason, 0, n),
		entries: make([]payment.Entry, 0, n),
	}
}

func (a *arrays) add(r payment.Request, d payment.Decision) {
	a.ids = append(a.ids, r.ID)
	a.customers = append(a.customers, r.CustomerID)
	a.amounts = append(a.amounts, r.AmountMinor)
	a.currencies = append(a.currencies, r.Currency)
	a.statuses = append(a.statuses, d.Status)
	a.reasons = append(a.reasons, d.Reason)
	a.entries = append(a.entries, d.Entry)
}

// firstOfEachKey returns the items without those whose key came before: of the same key twice in a batch, the first
// decides.
func firstOfEachKey[T any](items []T, key func(T) string) []T {
	seen := make(map[string]bool, len(items))
	first := make([]T, 0, len(items))
	for _, item := range items {
		if !seen[key(item)] {
			seen[key(item)] = true
			first = append(first, item)
		}
	}
	return first
}
