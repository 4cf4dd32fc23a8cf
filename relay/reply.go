package main

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/plain"
)

// The database and package order hold the words of the enums without these.
const (
	kindPrefix    = "KIND_"
	problemPrefix = "PROBLEM_"
	whyPrefix     = "WHY_"
	meaningPrefix = "MEANING_"
	statusPrefix  = "STATUS_"
)

func toKind(c order.Command) relayv1.ParkedCommand_Kind {
	return relayv1.ParkedCommand_Kind(relayv1.ParkedCommand_Kind_value[kindPrefix+string(c)])
}

func toCommand(w orderdb.Waiting, stuckAfter time.Duration) *relayv1.ParkedCommand {
	c := &relayv1.ParkedCommand{
		OrderId: w.OrderID, Kind: toKind(w.Kind), Attempts: int32(w.Attempts), Claims: int32(w.Claims),
		Sends:      int32(w.Sends),
		CreateTime: timestamppb.New(w.CreatedAt), ParkTime: toTime(w.ParkedAt), DeadlineTime: toTime(w.ExpiresAt),
		Why:     relayv1.ParkedCommand_Why(relayv1.ParkedCommand_Why_value[whyPrefix+string(w.Why(stuckAfter))]),
		TraceId: toText(w.TraceID), LastCode: toText(w.LastCode),
	}
	c.Cause = c.LastCode // clients of earlier releases read it
	switch {
	case w.ParkedAt != nil:
	case w.Leased:
		c.LeaseEndTime = timestamppb.New(w.ReadyAt)
	default:
		c.NextAttemptTime = timestamppb.New(w.ReadyAt)
	}
	return c
}

// toListed adds to a command what is known of its order.
func toListed(w orderdb.Waiting, stuckAfter time.Duration) *relayv1.Command {
	c := &relayv1.Command{Command: toCommand(w, stuckAfter), Alone: w.Alone}
	if w.Status != nil {
		c.OrderStatus = toOrderStatus(*w.Status)
		c.Amount = &moneyv1.Money{AmountMinor: *w.AmountMinor, CurrencyCode: *w.Currency}
	}
	return c
}

func toExplanation(e orderdb.Explanation, stuckAfter time.Duration) *relayv1.ExplainOrderResponse {
	response := &relayv1.ExplainOrderResponse{EarlierAttempts: int64(e.Earlier)}
	for _, a := range e.Attempts {
		response.Attempts = append(response.Attempts, toAttempt(a))
	}
	for _, w := range e.Waiting {
		response.Commands = append(response.Commands, toCommand(w, stuckAfter))
	}
	if d := e.Decision; d != nil {
		response.Decision = &relayv1.OperatorDecision{
			Operator: d.Operator, Reason: d.Reason, CreateTime: timestamppb.New(d.At),
		}
	}
	for _, r := range e.Retries {
		response.Retries = append(response.Retries, &relayv1.OperatorRetry{
			Kind: toKind(r.Kind), Operator: r.Operator, Reason: r.Reason, CreateTime: timestamppb.New(r.At),
		})
	}
	for _, c := range e.Changes {
		response.Changes = append(response.Changes, &relayv1.StatusChange{
			From: toOrderStatus(c.From), To: toOrderStatus(c.To), CreateTime: timestamppb.New(c.At),
			Cause: c.Cause, Who: c.Who, TraceId: toText(c.TraceID),
		})
	}
	return response
}

func toOrderStatus(s order.Status) relayv1.StatusChange_Status {
	return relayv1.StatusChange_Status(relayv1.StatusChange_Status_value[statusPrefix+string(s)])
}

func toAttempt(a orderdb.Attempt) *relayv1.Attempt {
	attempt := &relayv1.Attempt{
		Kind: toKind(a.Kind), Claim: int32(a.Claim), CreateTime: timestamppb.New(a.At),
		Relay: a.Relay, Rpc: toText(a.RPC), Code: a.Code,
		Meaning: relayv1.Attempt_Meaning(relayv1.Attempt_Meaning_value[meaningPrefix+a.Means]),
		Latency: durationpb.New(a.Latency), TraceId: toText(a.TraceID),
	}
	if a.RetryIn != nil {
		attempt.RetryDelay = durationpb.New(*a.RetryIn)
	}
	return attempt
}

// toBacklog tells what this relay found of each kind, and the sums, and how each kind fares with it.
func toBacklog(
	relay string, backlogs []outbox.Backlog, health func(kind string) outbox.Health,
) *relayv1.GetBacklogResponse {
	response := &relayv1.GetBacklogResponse{Relay: relay}
	for _, c := range order.Commands {
		fares := health(string(c))
		k := &relayv1.KindBacklog{
			Kind: toKind(c), BreakerOpen: !fares.OpenSince.IsZero(), LastCode: fares.LastCode,
		}
		if k.GetBreakerOpen() {
			k.BreakerOpenTime = timestamppb.New(fares.OpenSince)
		}
		for _, b := range backlogs {
			if b.Kind == string(c) {
				k.Due, k.Waiting, k.Parked, k.OldestAge = b.Due, b.Waiting, b.Parked, durationpb.New(b.OldestAge)
			}
		}
		response.Kinds = append(response.Kinds, k)
	}
	var oldest time.Duration
	for _, b := range backlogs {
		response.Due += b.Due
		response.Waiting += b.Waiting
		response.Parked += b.Parked
		oldest = max(oldest, b.OldestAge)
		response.OldestAge = durationpb.New(oldest)
	}
	return response
}

func toWay(c condition, backlogs []outbox.Backlog) *relayv1.Way {
	way := &relayv1.Way{Transport: c.transport, Prefix: c.prefix}
	if c.away != nil {
		way.Away = plain.Text(c.away.Error())
	}
	var age time.Duration
	for _, b := range backlogs {
		age = max(age, b.HandedAge)
	}
	if silence := c.silence(age); silence > 0 {
		way.Silence = durationpb.New(silence)
	}
	return way
}

func toPaymentsDatabase(v verdict) *relayv1.PaymentsDatabase {
	return &relayv1.PaymentsDatabase{
		Problem: relayv1.PaymentsDatabase_Problem(
			relayv1.PaymentsDatabase_Problem_value[problemPrefix+string(v.problem)]),
		Told: v.told, Trusted: v.trusted, AskTime: timestamppb.New(v.at), ClockAhead: durationpb.New(v.ahead),
	}
}

func toTime(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func toText(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
