package main

import (
	"errors"
	"fmt"
	"strings"

	eventsv1 "hosho/gen/events/v1"
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/class"
	"hosho/internal/envelope"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/relay/internal/dispatch"
)

// said is what a payment event says, as what became of a delivery.
type said struct {
	key      string // of the order
	database string // whose word it is
	kind     order.Command
	refused  int           // which send of that command was refused; 0: none was
	passes   bool          // it was refused for what says nothing about the order: it costs nothing, and is tried again
	report   outbox.Report // of the command as it was when it was applied
}

// read reads a payment event.
func read(e broker.Event) (*said, error) {
	l, err := envelope.Open(envelope.Payments, e)
	if err != nil {
		return nil, err
	}
	s := &said{key: strings.ToLower(l.Key), database: strings.ToLower(l.Database)}
	if refused, ok := l.Message.(*eventsv1.PaymentRefused); ok {
		err = s.refuse(refused)
	} else {
		s.decide(l)
	}
	s.report.Message.Key, s.report.Message.Kind = s.key, string(s.kind)
	if l.Traceparent != "" {
		s.report.Message.Traceparent = &l.Traceparent
	}
	return s, err
}

// decide notes what is stored. Only of a charge it is known which command it is about.
func (s *said) decide(l envelope.Letter) {
	p := &paymentv1.Payment{PaymentId: s.key}
	facts := func(status paymentv1.Payment_Status, m interface {
		GetCustomerId() string
		GetAmount() *moneyv1.Money
	},
	) {
		p.Status, p.CustomerId, p.Amount = status, m.GetCustomerId(), m.GetAmount()
	}
	switch m := l.Message.(type) {
	case *eventsv1.PaymentCharged:
		s.kind = order.Charge
		facts(paymentv1.Payment_STATUS_CHARGED, m)
	case *eventsv1.PaymentDeclined:
		p.DeclineReason = m.GetReason()
		facts(paymentv1.Payment_STATUS_DECLINED, m)
	case *eventsv1.PaymentVoided:
		facts(paymentv1.Payment_STATUS_VOIDED, m)
	case *eventsv1.PaymentRefunded:
		facts(paymentv1.Payment_STATUS_REFUNDED, m)
	}
	s.report = outbox.Report{Result: outbox.Decided, Code: "OK", Body: p}
}

// refuse notes that a command was not decided.
func (s *said) refuse(m *eventsv1.PaymentRefused) error {
	switch m.GetCommand() {
	case eventsv1.PaymentRefused_COMMAND_CHARGE:
		s.kind = order.Charge
	case eventsv1.PaymentRefused_COMMAND_VOID:
		s.kind = order.Void
	default:
		return fmt.Errorf("refused %v: the command is not known", m.GetCommand())
	}
	if m.GetSend() < 1 {
		return errors.New("a refusal without the send that was refused")
	}
	s.refused, s.passes = int(m.GetSend()), !class.IsAboutOrder(m.GetCode(), m.GetReason())
	dispatch.Refused(&s.report, m.GetCode(), m.GetReason(), m.GetMessage())
	return nil
}
