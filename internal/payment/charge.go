package payment

import (
	"fmt"
	"time"
)

// Charge asks for the amount to be taken.
type Charge struct {
	Request

	NotAfter time.Time // after this, by the database's clock, it is refused as expired; zero: never
}

// Verdict is what the card network says of a charge: approved, or declined for a reason. The zero value is neither, and
// nothing is decided by it.
type Verdict struct {
	Approved bool
	Reason   DeclineReason // why it was declined
}

// Authorisation is a charge that the card network has been asked about, and its verdict.
type Authorisation struct {
	Charge

	Verdict Verdict
}

// Command returns what the charge is to the state machine, as long as it has not expired.
func (a Authorisation) Command() Command {
	switch a.Verdict {
	case Verdict{Approved: true}:
		return ChargeApproved
	case Verdict{Reason: InsufficientFunds}:
		return ChargeDeclined
	}
	panic(fmt.Sprintf("payment %s: nothing is decided by the verdict %+v", a.ID, a.Verdict))
}
