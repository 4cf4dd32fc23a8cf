package main

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// bank decides commands as paymentd would.
type bank interface {
	carryOut(context.Context, *paymentv1.PaymentCommand) (*paymentv1.Payment, error)
}

// memory is a bank without a database. Its rules are paymentd's own.
type memory struct {
	mu       sync.Mutex
	payments map[string]*paymentv1.Payment
	entries  map[string][]payment.Entry
}

func newMemory() *memory {
	return &memory{payments: map[string]*paymentv1.Payment{}, entries: map[string][]payment.Entry{}}
}

// asked returns what a charge and a void have in common.
func asked(c *paymentv1.PaymentCommand) interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
} {
	if c.GetVoid() != nil {
		return c.GetVoid()
	}
	return c.GetCharge()
}

func (b *memory) carryOut(_ context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want := asked(c)
	p := b.payments[want.GetPaymentId()]
	if p == nil {
		p = &paymentv1.Payment{
			PaymentId: want.GetPaymentId(), CustomerId: want.GetCustomerId(), Amount: want.GetAmount(),
		}
		b.payments[want.GetPaymentId()] = p
	}
	command := payment.ChargeApproved
	if c.GetVoid() != nil {
		command = payment.Void
	}
	decision := payment.Apply(stored(p), command)
	p.Status = wireStatus[decision.Status]
	if decision.Entry != payment.NoEntry {
		b.entries[p.PaymentId] = append(b.entries[p.PaymentId], decision.Entry)
	}
	return proto.CloneOf(p), nil
}

func stored(p *paymentv1.Payment) payment.Status {
	for s, wire := range wireStatus {
		if p.GetStatus() == wire {
			return s
		}
	}
	panic("no such status")
}

// decided puts a payment down as decided earlier.
func (b *memory) decided(o order.Order, s payment.Status, reason paymentv1.Payment_DeclineReason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payments[o.ID] = &paymentv1.Payment{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: money(o), Status: wireStatus[s], DeclineReason: reason,
	}
	if s == payment.Charged || s == payment.Refunded {
		b.entries[o.ID] = append(b.entries[o.ID], payment.ChargeEntry)
	}
	if s == payment.Refunded {
		b.entries[o.ID] = append(b.entries[o.ID], payment.RefundEntry)
	}
}

// get returns the payment under a key and what the ledger holds of it.
func (b *memory) get(id string) (payment.Status, []payment.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return stored(b.payments[id]), b.entries[id]
}
