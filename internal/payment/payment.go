// Package payment is the payment's state machine: what is decided under a payment key, and what each command does to
// it.
//
// Its promise: the first command decides, and whoever asks later is told the same; the one change that may follow is
// that a CHARGED payment is REFUNDED. It is pure, so that tests can walk all of it. doc/rules.md has the machine as a
// table.
package payment

import (
	"fmt"
	"time"
)

// MaxAmount is the most that one payment may move, in the currency's minor unit.
const MaxAmount = 99_999_999_999

// Status is what is decided under a payment key. The words are those of the database.
type Status string

// The statuses.
const (
	// None means that nothing is decided yet: there is no row. Everything else but Refunded may follow.
	None Status = ""
	// Charged means that the amount was taken, once. Refunded may follow.
	Charged Status = "CHARGED"
	// Declined means that the charge was refused. It is final: deciding again could charge a cancelled order.
	Declined Status = "DECLINED"
	// Voided is a tombstone: a void came first, and a charge that arrives later takes nothing. It is final.
	Voided Status = "VOIDED"
	// Refunded means that the amount was taken and given back. It is final.
	Refunded Status = "REFUNDED"
)

// Statuses lists them, None first.
var Statuses = []Status{None, Charged, Declined, Voided, Refunded}

// DeclineReason says why a charge was refused. The words are those of the database.
type DeclineReason string

// The reasons.
const (
	InsufficientFunds DeclineReason = "INSUFFICIENT_FUNDS" // the card network said so
	Expired           DeclineReason = "EXPIRED"            // the charge came after its not_after
)

// Entry is a kind of ledger entry: money that moved. The words are those of the database.
type Entry string

// The entries.
const (
	NoEntry     Entry = ""
	ChargeEntry Entry = "CHARGE"
	RefundEntry Entry = "REFUND"
)

// Command is what may be asked of a payment: a void, or a charge with what the card network and the clock say of it.
type Command uint8

// The commands.
const (
	ChargeApproved Command = iota + 1
	ChargeDeclined
	ChargeExpired
	Void
)

// Commands lists them all.
var Commands = []Command{ChargeApproved, ChargeDeclined, ChargeExpired, Void}

func (c Command) String() string {
	return [...]string{"", "charge, approved", "charge, declined", "charge, expired", "void"}[c]
}

// Decision is what is decided under a key after a command.
type Decision struct {
	Status Status
	Reason DeclineReason // set when this command made it DECLINED
	Entry  Entry         // what this command adds to the ledger
}

// Apply decides what a command does to what is stored.
func Apply(stored Status, c Command) Decision {
	switch {
	case stored == None:
		return first(c)
	case stored == Charged && c == Void:
		return Decision{Status: Refunded, Entry: RefundEntry}
	default:
		return Decision{Status: stored}
	}
}

// first is the decision that counts.
func first(c Command) Decision {
	switch c {
	case ChargeApproved:
		return Decision{Status: Charged, Entry: ChargeEntry}
	case ChargeDeclined:
		return Decision{Status: Declined, Reason: InsufficientFunds}
	case ChargeExpired:
		return Decision{Status: Declined, Reason: Expired}
	case Void:
		return Decision{Status: Voided}
	}
	panic(fmt.Sprintf("payment: unknown command %d", c)) // commands are made in this program only
}

// Payment is a payment as the database holds it.
type Payment struct {
	ID            string // a UUID, the idempotency key
	CustomerID    string
	AmountMinor   int64 // in the currency's minor unit
	Currency      string
	Status        Status
	DeclineReason DeclineReason // empty unless DECLINED
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Booking is a ledger entry as the database holds it.
type Booking struct {
	Entry       Entry
	AmountMinor int64 // always positive; the entry gives the direction
	Currency    string
	At          time.Time
}

// Request names a payment and what it is about. The same key with anything else is a conflict.
type Request struct {
	ID          string
	CustomerID  string
	AmountMinor int64
	Currency    string
}

// Matches reports whether the payment is about the same customer, amount and currency as the request.
func (p Payment) Matches(r Request) bool {
	return p.ID == r.ID && p.CustomerID == r.CustomerID && p.AmountMinor == r.AmountMinor && p.Currency == r.Currency
}
