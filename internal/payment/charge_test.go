package payment_test

import (
	"testing"

	"hosho/internal/payment"
)

func TestAChargeIsDecidedByTheVerdict(t *testing.T) {
	for verdict, want := range map[payment.Verdict]payment.Command{
		{Approved: true}:                    payment.ChargeApproved,
		{Reason: payment.InsufficientFunds}: payment.ChargeDeclined,
	} {
		charge := payment.Authorisation{Verdict: verdict}
		if got := charge.Command(); got != want {
			t.Errorf("%+v: got %q, want %q", verdict, got, want)
		}
		if got := payment.Apply(payment.None, want).Reason; got != verdict.Reason {
			t.Errorf("%+v: got reason %q, want that of the verdict", verdict, got)
		}
	}
}

// Neither the zero value, which an implementation returns beside an error, nor a contradiction may become a decision.
func TestNothingIsDecidedWithoutAVerdict(t *testing.T) {
	for _, verdict := range []payment.Verdict{
		{}, {Reason: payment.Expired}, {Reason: "ANOTHER"}, {Approved: true, Reason: payment.InsufficientFunds},
	} {
		t.Run("", func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: got a command, want a panic", verdict)
				}
			}()
			payment.Authorisation{Verdict: verdict}.Command()
		})
	}
}
