package story

import (
	"regexp"
	"testing"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// Whoever reads 1999 USD takes it for a hundred times as much: every line that tells an amount tells it in dollars.
func TestEveryAmountIsWrittenForPeople(t *testing.T) {
	t.Parallel()
	total := &moneyv1.Money{CurrencyCode: "USD", AmountMinor: 1999}
	order := &orderv1.Order{
		OrderId: "1", CustomerId: "ada", Status: orderv1.Order_STATUS_COMPLETED, Total: total, CreateTime: at(0),
	}
	charged := &paymentv1.Payment{
		CustomerId: "eve", Status: paymentv1.Payment_STATUS_CHARGED, Amount: total,
		CreateTime: at(1), UpdateTime: at(1),
	}
	s := Story{Order: order, Payment: &paymentv1.GetPaymentResponse{
		Payment: charged,
		Ledger: []*paymentv1.LedgerEntry{
			{Kind: paymentv1.LedgerEntry_KIND_CHARGE, Amount: total, CreateTime: at(1)},
		},
	}}
	lone := s
	lone.Order = nil
	lines := append(whats(s), s.OrderLine(), s.PaymentLine(), lone.PaymentLine())
	amount := regexp.MustCompile(`[0-9.]+ USD`)
	told := 0
	for _, line := range lines {
		for _, got := range amount.FindAllString(line, -1) {
			told++
			if got != "19.99 USD" {
				t.Errorf("got %q in %q, want 19.99 USD", got, line)
			}
		}
	}
	if told != 6 {
		t.Errorf("got %d amounts in %q, want 6", told, lines)
	}
}
