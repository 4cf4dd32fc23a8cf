package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/terminal"
)

// history is everything that is known, by time. The clocks are those of the two databases.
func (a answers) history() []moment {
	moments := slices.Concat(a.accepted(), a.attempts(), a.money(), a.implied(), a.decision(), a.status())
	slices.SortStableFunc(moments, func(x, y moment) int { return x.Time.Compare(y.Time) })
	return moments
}

func (a answers) accepted() []moment {
	if a.order == nil {
		return nil
	}
	what := "PENDING: accepted, to be paid by " + localTime(a.order.GetDeadlineTime())
	return []moment{{Time: a.order.GetCreateTime().AsTime(), From: "orderd", What: what}}
}

// status is the last change of the order's status.
func (a answers) status() []moment {
	if a.order == nil || a.order.GetStatus() == orderv1.Order_STATUS_PENDING {
		return nil
	}
	text := orderStatus(a.order)
	name, _, _ := strings.Cut(text, " ")
	return []moment{{Time: a.order.GetUpdateTime().AsTime(), From: "orderd", What: text, style: statusStyle(name)}}
}

func (a answers) attempts() []moment {
	var moments []moment
	if n := a.delivery.GetEarlierAttempts(); n > 0 {
		moments = append(moments, moment{
			Time: a.delivery.GetAttempts()[0].GetCreateTime().AsTime(), From: "relay", What: fmt.Sprintf("%d earlier attempts are left out", n),
		})
	}
	for _, at := range a.delivery.GetAttempts() {
		moments = append(moments, moment{
			Time: at.GetCreateTime().AsTime(), From: "relay", What: attemptText(at), Relay: at.GetRelay(), TraceID: at.GetTraceId(),
			style: attemptStyle(at.GetMeaning()),
		})
	}
	return moments
}

func attemptText(at *relayv1.Attempt) string {
	meaning := strings.ToLower(word(at.GetMeaning().String(), "MEANING_"))
	if at.GetRpc() == "" {
		return fmt.Sprintf("%s %d: %s, nothing was sent", kindName(at.GetKind()), at.GetClaim(), meaning)
	}
	text := fmt.Sprintf("%s %d: %s -> %s in %s, %s", kindName(at.GetKind()), at.GetClaim(), at.GetRpc(), at.GetCode(),
		at.GetLatency().AsDuration().Round(100*time.Microsecond), meaning)
	switch {
	case at.GetRetryDelay() != nil:
		text += ", again in " + at.GetRetryDelay().AsDuration().Round(time.Millisecond).String()
	case at.GetMeaning() != relayv1.Attempt_MEANING_DECIDED:
		text += ", not tried again by itself"
	}
	return text
}

func attemptStyle(m relayv1.Attempt_Meaning) terminal.Style {
	switch m {
	case relayv1.Attempt_MEANING_DECIDED:
		return terminal.Green
	case relayv1.Attempt_MEANING_CONFLICT, relayv1.Attempt_MEANING_REFUSED, relayv1.Attempt_MEANING_UNREADABLE:
		return terminal.Red
	}
	return terminal.Yellow
}

// money is what paymentd decided and booked. A REFUNDED payment was CHARGED first.
func (a answers) money() []moment {
	p := a.payment.GetPayment()
	if p == nil {
		return nil
	}
	at := func(t time.Time, what string) moment { return moment{Time: t, From: "paymentd", What: what} }
	first := paymentStatus(p)
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		first = "CHARGED"
	}
	moments := []moment{at(p.GetCreateTime().AsTime(), first)}
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		moments = append(moments, at(p.GetUpdateTime().AsTime(), "REFUNDED"))
	}
	for _, entry := range a.payment.GetLedger() {
		what := "ledger: " + word(entry.GetKind().String(), "KIND_") + " " + amount(entry.GetAmount())
		moments = append(moments, at(entry.GetCreateTime().AsTime(), what))
	}
	return moments
}

// implied are the deliveries that left no attempt: a command was decided, and is neither recorded nor in the outbox any
// more. An order that was settled by hand implies nothing.
func (a answers) implied() []moment {
	p := a.payment.GetPayment()
	if p == nil || a.delivery == nil || a.delivery.GetDecision() != nil || a.delivery.GetEarlierAttempts() > 0 {
		return nil
	}
	var moments []moment
	clean := func(kind relayv1.ParkedCommand_Kind, t time.Time) { // whose money moved right after the decision
		if a.mentions(kind) {
			return
		}
		for _, entry := range a.payment.GetLedger() {
			if booked := entry.GetCreateTime().AsTime(); entryOf[kind] == entry.GetKind() && booked.After(t) {
				t = booked
			}
		}
		moments = append(moments, moment{Time: t, From: "relay", What: kindName(kind) + " 1: decided", Implied: true, style: terminal.Green})
	}
	if len(a.payment.GetLedger()) > 0 || p.GetStatus() == paymentv1.Payment_STATUS_DECLINED {
		clean(relayv1.ParkedCommand_KIND_CHARGE, p.GetCreateTime().AsTime())
	}
	cancelled := a.order == nil || a.order.GetStatus() == orderv1.Order_STATUS_CANCELLED
	if voided := p.GetStatus() == paymentv1.Payment_STATUS_VOIDED || p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED; voided && cancelled {
		clean(relayv1.ParkedCommand_KIND_VOID, p.GetUpdateTime().AsTime())
	}
	return moments
}

// entryOf is what a command books, if it moves money.
var entryOf = map[relayv1.ParkedCommand_Kind]paymentv1.LedgerEntry_Kind{
	relayv1.ParkedCommand_KIND_CHARGE: paymentv1.LedgerEntry_KIND_CHARGE,
	relayv1.ParkedCommand_KIND_VOID:   paymentv1.LedgerEntry_KIND_REFUND,
}

// mentions reports whether a command was recorded or is in the outbox.
func (a answers) mentions(kind relayv1.ParkedCommand_Kind) bool {
	return slices.ContainsFunc(a.delivery.GetAttempts(), func(at *relayv1.Attempt) bool { return at.GetKind() == kind }) ||
		slices.ContainsFunc(a.delivery.GetCommands(), func(c *relayv1.ParkedCommand) bool { return c.GetKind() == kind })
}

func (a answers) decision() []moment {
	d := a.delivery.GetDecision()
	if d == nil {
		return nil
	}
	what := fmt.Sprintf("settled by hand, by %s: %s", d.GetOperator(), d.GetReason())
	return []moment{{Time: d.GetCreateTime().AsTime(), From: "relay", What: what, style: terminal.Yellow}}
}

// next is what follows by itself, or who must act.
func (a answers) next() []string {
	settled := a.order.GetStatus() == orderv1.Order_STATUS_COMPLETED || a.order.GetStatus() == orderv1.Order_STATUS_CANCELLED
	switch {
	case settled:
		return []string{"nothing: the order is settled"}
	case a.delivery == nil:
		return nil
	case len(a.delivery.GetCommands()) == 0:
		return []string{"nothing is in the outbox"}
	}
	var next []string
	for _, c := range a.delivery.GetCommands() {
		text := kindName(c.GetKind()) + ": " + outlook(c)
		if c.GetWhy() != relayv1.ParkedCommand_WHY_UNSPECIFIED {
			text += "; it needs a person: " + whyName(c.GetWhy())
		}
		next = append(next, text)
	}
	return next
}

func (a answers) orderLine(id string) string {
	if a.order == nil {
		return id
	}
	return fmt.Sprintf("%s  %s, %s of %s", id, orderStatus(a.order), amount(a.order.GetTotal()), a.order.GetCustomerId())
}

func (a answers) paymentLine() string {
	p := a.payment.GetPayment()
	switch {
	case p == nil && a.isSilent("paymentd"):
		return "not known"
	case p == nil:
		return "none yet"
	}
	held := int64(0)
	for _, entry := range a.payment.GetLedger() {
		if entry.GetKind() == paymentv1.LedgerEntry_KIND_CHARGE {
			held += entry.GetAmount().GetAmountMinor()
		} else {
			held -= entry.GetAmount().GetAmountMinor()
		}
	}
	return fmt.Sprintf("%s, held: %d %s", paymentStatus(p), held, p.GetAmount().GetCurrencyCode())
}

func orderStatus(o *orderv1.Order) string {
	text := word(o.GetStatus().String(), "STATUS_")
	if o.GetCancelReason() != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		text += " (" + word(o.GetCancelReason().String(), "CANCEL_REASON_") + ")"
	}
	return text
}

func paymentStatus(p *paymentv1.Payment) string {
	text := word(p.GetStatus().String(), "STATUS_")
	if p.GetDeclineReason() != paymentv1.Payment_DECLINE_REASON_UNSPECIFIED {
		text += " (" + word(p.GetDeclineReason().String(), "DECLINE_REASON_") + ")"
	}
	return text
}

func amount(m *moneyv1.Money) string {
	return fmt.Sprintf("%d %s", m.GetAmountMinor(), m.GetCurrencyCode())
}

func word(enum, prefix string) string { return strings.TrimPrefix(enum, prefix) }

func statusStyle(status string) terminal.Style {
	switch status {
	case "COMPLETED":
		return terminal.Green
	case "CANCELLING", "PENDING":
		return terminal.Yellow
	case "CANCELLED":
		return terminal.Bold
	}
	return terminal.Plain
}
