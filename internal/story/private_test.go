package story

import (
	"bytes"
	"strings"
	"testing"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// Whose an order is and what was ordered is told nowhere. That a payment is another customer's is told all the same.
func TestAStoryWithoutCustomersNamesNone(t *testing.T) {
	t.Parallel()
	mine := told(orderv1.Order_STATUS_COMPLETED, noReason, 3)
	mine.CustomerId, mine.Items = "mallory", []*orderv1.Item{{Name: "a lamp"}}
	paidBy := func(customer string) *paymentv1.GetPaymentResponse {
		reply := paid(paymentv1.Payment_STATUS_CHARGED)
		reply.Payment.CustomerId, reply.Payment.Amount = customer, mine.GetTotal()
		return reply
	}
	for _, tt := range []struct {
		story   Story
		another bool
	}{
		{Story{Order: mine, Payment: paidBy("mallory")}, false},
		{Story{Order: mine, Payment: paidBy("eve")}, true},
		{Story{Payment: paidBy("eve")}, false},
	} {
		hidden := tt.story.WithoutCustomers()
		var text bytes.Buffer
		if err := hidden.Encode(&text); err != nil {
			t.Fatal(err)
		}
		all := text.String() + hidden.OrderLine() + hidden.PaymentLine()
		for _, private := range []string{"mallory", "eve", "a lamp"} {
			if strings.Contains(all, private) {
				t.Errorf("got %s, want no %s", all, private)
			}
		}
		if got := strings.Contains(hidden.PaymentLine(), "not this order's"); got != tt.another {
			t.Errorf("got %q, want it to be another's: %t", hidden.PaymentLine(), tt.another)
		}
		if tt.story.Order != nil && mine.GetCustomerId() != "mallory" {
			t.Error("the story itself has forgotten its customer")
		}
	}
}
