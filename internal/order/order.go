package order

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// The limits of an order. MaxAmount is in the currency's minor unit.
const (
	MaxItems     = 100
	MaxNameRunes = 200
	MaxNameBytes = 400
	MaxAmount    = 99_999_999_999
)

// Order is an order as the database holds it.
type Order struct {
	ID           string // a UUID, also the key of the order's payment
	CustomerID   string
	Items        []Item
	AmountMinor  int64 // the total in the currency's minor unit
	Currency     string
	Status       Status
	CancelReason CancelReason // empty unless CANCELLING or CANCELLED
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DeadlineAt   time.Time // a PENDING order is given up then
	CompletedAt  time.Time // of one CANCELLING or CANCELLED: when it was COMPLETED before; zero: never, or not known
}

// Item is one line of an order.
type Item struct {
	Name      string `json:"name"`
	Quantity  int32  `json:"quantity"`
	UnitPrice int64  `json:"unit_price"` // in the currency's minor unit
}

// Total sums quantity x unit price. It returns an error, and no overflowed sum, when the sum exceeds MaxAmount.
// Quantities and prices must be at least 1.
func Total(items []Item) (int64, error) {
	var sum int64
	for _, item := range items {
		if item.UnitPrice > (MaxAmount-sum)/int64(item.Quantity) {
			return 0, fmt.Errorf("got a total of more than %d, want at most that", int64(MaxAmount))
		}
		sum += int64(item.Quantity) * item.UnitPrice
	}
	return sum, nil
}

// fingerprintVersion names the list of fields below. Another list needs another version, so that a repeat across an
// upgrade cannot be taken for a reuse of the same id by accident of equal bytes.
const fingerprintVersion = "CreateOrder/1"

// Fingerprint tells a repeated request from another one with the same id. It hashes the fields, each with its length
// before it; protobuf bytes would differ between builds.
func Fingerprint(customerID, currency string, items []Item) []byte {
	h := sha256.New()
	text := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	number := func(n int64) { h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	text(fingerprintVersion)
	text(customerID)
	text(currency)
	number(int64(len(items)))
	for _, item := range items {
		text(item.Name)
		number(int64(item.Quantity))
		number(item.UnitPrice)
	}
	return h.Sum(nil)
}
