package story

import (
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// What stands for a customer who is not named. That the payment is another customer's is told all the same.
const (
	unnamed        = "(not shown)"
	anotherUnnamed = "(another, not shown)"
)

// WithoutCustomers is the story for those who need not know whose the order is and what was ordered.
func (s Story) WithoutCustomers() Story {
	customer := s.Payment.GetPayment().GetCustomerId()
	if s.Order != nil {
		customer = s.Order.GetCustomerId()
		s.Order = proto.CloneOf[*orderv1.Order](s.Order)
		s.Order.CustomerId, s.Order.Items = unnamed, nil
	}
	if s.Payment.GetPayment() != nil {
		s.Payment = proto.CloneOf[*paymentv1.GetPaymentResponse](s.Payment)
		p := s.Payment.GetPayment()
		if p.GetCustomerId() == customer {
			p.CustomerId = unnamed
		} else {
			p.CustomerId = anotherUnnamed
		}
	}
	return s
}
