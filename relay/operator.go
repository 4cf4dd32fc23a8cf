package main

import (
	"context"
	"errors"
	"fmt"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/page"
)

var errNoCommand = errors.New("no such command")

// ListParked returns the commands that need a person.
func (s *server) ListParked(
	ctx context.Context, r *relayv1.ListParkedRequest,
) (*relayv1.ListParkedResponse, error) {
	if err := checkList(r); err != nil {
		return nil, err
	}
	after, err := page.Read(r.GetPageToken(), "parked")
	if err != nil {
		return nil, err
	}
	waiting, rest, err := s.store.Stuck(ctx, s.stuckAfter, after.Number(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &relayv1.ListParkedResponse{}
	told := func(w orderdb.Waiting) *relayv1.ParkedCommand { return toCommand(w, s.stuckAfter) }
	response.Commands, response.NextPageToken = page.Cut(waiting, told, atCommand, page.AfterNumber(rest), "parked")
	return response, nil
}

// ListCommands returns all commands in the outbox, or those of a kind.
func (s *server) ListCommands(
	ctx context.Context, r *relayv1.ListCommandsRequest,
) (*relayv1.ListCommandsResponse, error) {
	kind, err := fromCommands(r)
	if err != nil {
		return nil, err
	}
	list := []string{"commands", string(kind)}
	after, err := page.Read(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	waiting, rest, err := s.store.Commands(ctx, kind, after.Number(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &relayv1.ListCommandsResponse{}
	told := func(w orderdb.Waiting) *relayv1.Command { return toListed(w, s.stuckAfter) }
	response.Commands, response.NextPageToken = page.Cut(waiting, told, atCommand, page.AfterNumber(rest), list...)
	return response, nil
}

func atCommand(last orderdb.Waiting) page.Position { return page.AtNumber(last.ID) }

// maxExplained bounds how many attempts one reply tells. A void that fails for months has more.
const maxExplained = 1000

// ExplainOrder returns what became of an order's commands.
func (s *server) ExplainOrder(
	ctx context.Context, r *relayv1.ExplainOrderRequest,
) (*relayv1.ExplainOrderResponse, error) {
	id, err := fromID(r.GetOrderId())
	if err != nil {
		return nil, err
	}
	found, err := s.store.Explain(ctx, id, maxExplained)
	if err != nil {
		return nil, err
	}
	return toExplanation(found, s.stuckAfter), nil
}

// RetryParked makes a command due at once, and writes down who and why.
func (s *server) RetryParked(
	ctx context.Context, r *relayv1.RetryParkedRequest,
) (*relayv1.RetryParkedResponse, error) {
	retry, err := fromRetry(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := s.store.Retry(ctx, retry)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNoCommand
	}
	s.log.InfoContext(ctx, "retry", "order_id", retry.OrderID, "kind", string(retry.Kind), "operator", retry.Operator)
	s.workers.Wake()
	return &relayv1.RetryParkedResponse{}, nil
}

// SettleParked cancels an order by hand, and writes down who and why.
func (s *server) SettleParked(
	ctx context.Context, r *relayv1.SettleParkedRequest,
) (*relayv1.SettleParkedResponse, error) {
	decision, err := fromSettle(ctx, r)
	if err != nil {
		return nil, err
	}
	o, changed, err := s.store.SettleByHand(ctx, decision)
	if err != nil {
		return nil, err
	}
	if changed {
		s.log.WarnContext(ctx, "order", "order_id", o.ID, "status", string(o.Status),
			"cause", order.OperatorSettles.String(), "operator", decision.Operator)
		s.watchers.WakeAbout(o.ID)
		s.events.Order("", settledByHand(o))
	}
	return &relayv1.SettleParkedResponse{}, nil
}

// GetBacklog returns how much waits, and which kinds this relay takes to be undeliverable.
func (s *server) GetBacklog(
	ctx context.Context, _ *relayv1.GetBacklogRequest,
) (*relayv1.GetBacklogResponse, error) {
	backlogs, err := s.store.Backlog(ctx)
	if err != nil {
		return nil, err
	}
	response := toBacklog(s.name, backlogs, s.workers.Health)
	s.events.Backlog(response.GetKinds())
	if v, found := s.trust.last(); found {
		response.PaymentsDatabase = toPaymentsDatabase(v)
	}
	response.Way = toWay(s.way.Condition(), backlogs)
	return response, nil
}

// errNotThat says that paymentd has not the payments database that is to be accepted.
var errNotThat = errors.New("not that payments database")

// AcceptPaymentsDatabase has the orders trust another payments database, and writes down who and why. It asks paymentd
// before, so that nobody accepts one that is not there, and after, so that the relay goes on at once.
func (s *server) AcceptPaymentsDatabase(
	ctx context.Context, r *relayv1.AcceptPaymentsDatabaseRequest,
) (*relayv1.AcceptPaymentsDatabaseResponse, error) {
	accept, err := fromAccept(ctx, r)
	if err != nil {
		return nil, err
	}
	asked := s.way.AskAnew(ctx) // an error is no matter where that was told
	v, _ := s.trust.last()
	if v.trusted == accept.ID {
		return &relayv1.AcceptPaymentsDatabaseResponse{}, nil
	}
	if v.told != accept.ID {
		return nil, fmt.Errorf("%w: paymentd has %q (asked: %v)", errNotThat, v.told, asked)
	}
	from, changed, err := s.store.AcceptPayments(ctx, accept)
	if err != nil {
		return nil, err
	}
	response := &relayv1.AcceptPaymentsDatabaseResponse{Previous: toText(from)}
	if changed {
		s.log.WarnContext(ctx, "payments database accepted",
			"from", response.GetPrevious(), "to", accept.ID, "operator", accept.Operator)
	}
	_ = s.way.AskAnew(ctx) // it is accepted, whatever becomes of this
	s.workers.Wake()
	return response, nil
}
