package order_test

import (
	"encoding/hex"
	"math"
	"testing"

	"hosho/internal/order"
)

type items = []order.Item

func TestTotal(t *testing.T) {
	t.Parallel()
	const most = order.MaxAmount
	one := order.Item{Quantity: 1, UnitPrice: 1}
	tests := map[string]struct {
		items []order.Item
		want  int64
		fails bool
	}{
		"nothing":                {items: nil, want: 0},
		"one":                    {items: items{one}, want: 1},
		"a sum of products":      {items: items{{Quantity: 2, UnitPrice: 3}, {Quantity: 4, UnitPrice: 5}}, want: 26},
		"the most":               {items: items{{Quantity: 1, UnitPrice: most}}, want: most},
		"the most, in two":       {items: items{{Quantity: 1, UnitPrice: most - 1}, one}, want: most},
		"the most, by quantity":  {items: items{{Quantity: 9, UnitPrice: most / 9}}, want: most},
		"one more":               {items: items{{Quantity: 1, UnitPrice: most + 1}}, fails: true},
		"one more, in two":       {items: items{{Quantity: 1, UnitPrice: most}, one}, fails: true},
		"one more, by quantity":  {items: items{{Quantity: 2, UnitPrice: most/2 + 1}}, fails: true},
		"the product overflows":  {items: items{{Quantity: math.MaxInt32, UnitPrice: math.MaxInt64}}, fails: true},
		"the product wraps to 0": {items: items{{Quantity: 1 << 30, UnitPrice: 1 << 34}}, fails: true},
		"the sum overflows": {
			items: items{{Quantity: 1, UnitPrice: most}, {Quantity: 1, UnitPrice: math.MaxInt64}}, fails: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := order.Total(test.items)
			if failed := err != nil; failed != test.fails || got != test.want {
				t.Errorf("got %d, error %v; want %d, an error: %v", got, err, test.want, test.fails)
			}
		})
	}
}

// The golden value is what databases hold: if it changes, fingerprintVersion must change with it.
func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	got := hex.EncodeToString(order.Fingerprint("alice", "JPY", items{
		{Name: "tea", Quantity: 2, UnitPrice: 450}, {Name: "茶碗", Quantity: 1, UnitPrice: 3000},
	}))
	const want = "35d782ff24bf698ee117f935b59cfa8eaf00be93ff7f73b61665e5947171fc28"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFingerprintTellsEveryFieldApart(t *testing.T) {
	t.Parallel()
	item := order.Item{Name: "tea", Quantity: 2, UnitPrice: 450}
	one, other := order.Item{Name: "a", Quantity: 1, UnitPrice: 1}, order.Item{Name: "b", Quantity: 1, UnitPrice: 1}
	fingerprints := map[string][]byte{
		"the request":        order.Fingerprint("alice", "JPY", items{item}),
		"another customer":   order.Fingerprint("bob", "JPY", items{item}),
		"another currency":   order.Fingerprint("alice", "USD", items{item}),
		"another name":       order.Fingerprint("alice", "JPY", items{{Name: "Tea", Quantity: 2, UnitPrice: 450}}),
		"another quantity":   order.Fingerprint("alice", "JPY", items{{Name: "tea", Quantity: 3, UnitPrice: 450}}),
		"another price":      order.Fingerprint("alice", "JPY", items{{Name: "tea", Quantity: 2, UnitPrice: 451}}),
		"numbers swapped":    order.Fingerprint("alice", "JPY", items{{Name: "tea", Quantity: 450, UnitPrice: 2}}),
		"the item twice":     order.Fingerprint("alice", "JPY", items{item, item}),
		"another order":      order.Fingerprint("alice", "JPY", items{one, other}),
		"that one, reversed": order.Fingerprint("alice", "JPY", items{other, one}),
		// Without lengths these would be the same bytes as the request.
		"a letter moved over": order.Fingerprint("aliceJ", "PY", items{item}),
		"and back":            order.Fingerprint("alic", "eJPY", items{item}),
		"no name":             order.Fingerprint("alice", "JPY", items{{Quantity: 2, UnitPrice: 450}}),

		"NFC": order.Fingerprint("alice", "JPY", items{{Name: "caf\u00e9", Quantity: 2, UnitPrice: 450}}),
		"NFD": order.Fingerprint("alice", "JPY", items{{Name: "cafe\u0301", Quantity: 2, UnitPrice: 450}}),
	}
	seen := map[string]string{}
	for name, got := range fingerprints {
		if other, same := seen[string(got)]; same {
			t.Errorf("%s: got the fingerprint of %s, want another", name, other)
		}
		seen[string(got)] = name
	}
}
