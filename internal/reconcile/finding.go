package reconcile

import (
	"fmt"

	"hosho/internal/money"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// finding puts a case into words.
func finding(id string, class Class, why string, c Case) Finding {
	f := Finding{
		Class: class, OrderID: id, Commands: c.commands(), Why: why,
		Found: why + " (" + c.String() + ")", Todo: todo(id, class, c),
	}
	if c.Order != nil {
		f.Order = c.Order.Status
	}
	if c.Payment != nil {
		f.Payment = c.Payment.Status
	}
	return f
}

// nameless is the case with Customer and AnotherCustomer for customers: as much is said of it.
func (c Case) nameless() Case {
	customer := ""
	if c.Payment != nil {
		p := *c.Payment
		customer, p.CustomerID = p.CustomerID, Customer
		c.Payment = &p
	}
	if c.Order != nil {
		o := *c.Order
		if c.Payment != nil && o.CustomerID != customer {
			c.Payment.CustomerID = AnotherCustomer
		}
		o.CustomerID, c.Order = Customer, &o
	}
	return c
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
	return fmt.Sprintf("%s; payment %s %s, ledger %s", text, p.Status, p.text(differ), money.Text(p.Ledger, p.Currency))
}

func (m Money) text(customer bool) string {
	if customer {
		return money.Text(m.Amount, m.Currency) + " of " + m.CustomerID
	}
	return money.Text(m.Amount, m.Currency)
}

// todo is the call that mends a case which the saga cannot, where there is one.
func todo(id string, class Class, c Case) string {
	switch class {
	case CompletedNotHeld:
		return collect(id, c)
	case CancelledButHeld:
		if c.Payment == nil {
			return c.void(id, c.Order.Money) // leaves a tombstone
		}
		return release(id, c)
	case PaymentWithoutOrder:
		return release(id, c)
	case RefundMissing:
		if c.Order.Status == order.Cancelled && c.Payment.Status != payment.Refunded {
			return "nothing is refunded under this key any more: give the money back by other means"
		}
	case Stuck, SettledByOperator:
		return unstick(id, c)
	}
	return ""
}

// collect mends a COMPLETED order whose money is not held.
func collect(id string, c Case) string {
	cancel := "sagactl order cancel " + id
	switch p := c.Payment; {
	case p == nil:
		return "charge it again under the same key: " + c.charge(id, c.Order.Money) + "; or give it up: " + cancel +
			", and, when its VOID came to " + order.NotRefunded + ", " + settle(id)
	case p.Money != c.Order.Money:
		return foreign(id, c) + "; then " + cancel + ", and " + settle(id)
	case p.Status == payment.Voided, p.Status == payment.Declined:
		return cancel + ", and, when its VOID came to " + order.NotRefunded + ", " + settle(id)
	case p.Status == payment.Refunded:
		return cancel
	}
	return ""
}

// release mends a payment that must hold nothing.
func release(id string, c Case) string {
	switch p := c.Payment; {
	case p.Status == payment.Charged:
		return c.void(id, p.Money)
	case p.Ledger > 0:
		return "the payment holds nothing, and its ledger says it does: accounting must correct the ledger"
	}
	return ""
}

// unstick says what to do about an order that a person must look at.
func unstick(id string, c Case) string {
	o := c.Order
	switch {
	case o == nil:
		return ""
	case o.ByHand && c.Payment != nil && c.Payment.Status == payment.Charged:
		return foreign(id, c)
	case o.Status == order.Completed && c.Void != nil:
		return "a VOID of a COMPLETED order is not sent: find out who wrote it, and delete it from the outbox"
	case o.Status.Settled():
		return ""
	case c.Payment != nil && c.Payment.Money != o.Money:
		return foreign(id, c) + "; then " + settle(id)
	case c.Void != nil && c.Void.LastCode == order.NotRefunded:
		return "see that the relay reaches the right paymentd; if it does, its database has lost the payment: " +
			settle(id)
	}
	return ""
}

// foreign is what to do about a payment under an order's key that the order does not account for.
func foreign(id string, c Case) string {
	text := "the payment under its key is " + c.Payment.text(true)
	if c.Payment.Status == payment.Charged {
		text += ", and holds it: find out whose it is, and give it back: " + c.void(id, c.Payment.Money)
	}
	return text
}

// settle is the call with which an operator cancels what the saga cannot settle.
func settle(id string) string { return "sagactl settle " + id + " --reason '...'" }

// charge is the call that takes the money of an order whose payment was forgotten. A key that is known after all keeps
// what is stored.
func (c Case) charge(id string, m Money) string { return c.call("ChargePayment", id, m) }

// void is the call that gives money back, or keeps it from being taken. paymentd refuses it for another customer,
// amount or currency than the payment's own.
func (c Case) void(id string, m Money) string { return c.call("VoidPayment", id, m) }

// call names the payments database that is meant: a paymentd that has another one refuses.
func (c Case) call(method, id string, m Money) string {
	return fmt.Sprintf(`grpcurl -plaintext -d '{"payments_database": %q, "payment_id": %q, "customer_id": %q, `+
		`"amount": {"currency_code": %q, "amount_minor": %d}}' $PAYMENTD payment.v1.PaymentService/%s`,
		c.Database, id, m.CustomerID, m.Currency, m.Amount, method)
}
