package reconcile

import (
	"fmt"

	"hosho/internal/order"
	"hosho/internal/payment"
)

// finding puts a case into words.
func finding(id string, class Class, why string, c Case) Finding {
	f := Finding{
		Class: class, OrderID: id, Commands: c.commands(), Found: why + " (" + c.String() + ")",
		Todo: todo(id, class, c),
	}
	if c.Order != nil {
		f.Order = c.Order.Status
	}
	if c.Payment != nil {
		f.Payment = c.Payment.Status
	}
	return f
}

func (c Case) commands() (kinds []order.Command) {
	if c.Charge != nil {
		kinds = append(kinds, order.Charge)
	}
	if c.Void != nil {
		kinds = append(kinds, order.Void)
	}
	return kinds
}

// String returns what both sides say. Customers are named only where they differ.
func (c Case) String() string {
	o, p := c.Order, c.Payment
	differ := o != nil && p != nil && o.CustomerID != p.CustomerID
	text := "no order"
	if o != nil {
		text = "order " + string(o.Status) + " " + o.text(differ)
	}
	for _, kind := range c.commands() {
		text += " with " + string(kind)
	}
	if p == nil {
		return text + "; no payment"
	}
	return fmt.Sprintf("%s; payment %s %s, ledger %d", text, p.Status, p.text(differ), p.Ledger)
}

func (m Money) text(customer bool) string {
	if customer {
		return fmt.Sprintf("%d %s of %s", m.Amount, m.Currency, m.CustomerID)
	}
	return fmt.Sprintf("%d %s", m.Amount, m.Currency)
}

// todo is the call that mends a case which the saga cannot, where there is one.
func todo(id string, class Class, c Case) string {
	switch {
	case class == CancelledButHeld && c.Payment == nil:
		return void(id, c.Order.Money) // leaves a tombstone
	case class == CancelledButHeld && c.Payment.Status == payment.Charged, class == PaymentWithoutOrder &&
		c.Payment.Status == payment.Charged:
		return void(id, c.Payment.Money)
	case class == CancelledButHeld, class == PaymentWithoutOrder && c.Payment.Ledger > 0:
		return "the payment holds nothing, and its ledger says it does: accounting must correct the ledger"
	case class == Stuck && c.Order != nil && c.Order.Status == order.Completed && c.Void != nil:
		return "a VOID of a COMPLETED order refunds it when it is delivered: if that is not wanted, delete it from " +
			"the outbox at once"
	}
	return ""
}

// void is the call that gives money back, or keeps it from being taken. paymentd refuses it for another customer,
// amount or currency than the payment's own.
func void(id string, m Money) string {
	return fmt.Sprintf(`grpcurl -plaintext -d '{"payment_id": %q, "customer_id": %q, `+
		`"amount": {"currency_code": %q, "amount_minor": %d}}' $PAYMENTD payment.v1.PaymentService/VoidPayment`,
		id, m.CustomerID, m.Currency, m.Amount)
}
