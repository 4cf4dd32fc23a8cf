package main

import (
	"context"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/identity"
	"hosho/internal/paymentdb"
	"hosho/internal/validate"
)

// AcceptOrdersDatabase has the payments trust another orders database, and writes down who and why.
func (s *server) AcceptOrdersDatabase(
	ctx context.Context, r *paymentv1.AcceptOrdersDatabaseRequest,
) (*paymentv1.AcceptOrdersDatabaseResponse, error) {
	accept, err := fromAccept(ctx, r)
	if err != nil {
		return nil, err
	}
	from, changed, err := s.store.AcceptOrders(ctx, accept)
	if err != nil {
		return nil, err
	}
	response := &paymentv1.AcceptOrdersDatabaseResponse{Previous: textOf(from)}
	if changed {
		s.pin.forget()
		s.log.WarnContext(ctx, "orders database accepted",
			"from", response.GetPrevious(), "to", accept.ID, "operator", accept.Operator)
	}
	return response, nil
}

const maxReason = 500 // characters, as the table's constraint says

// fromAccept reads who is to be trusted, and who says so: whom the caller's certificate names, whatever name he gives,
// since that may be anybody's; without certificates the name that he gives, which is all there is.
func fromAccept(ctx context.Context, r *paymentv1.AcceptOrdersDatabaseRequest) (paymentdb.Acceptance, error) {
	var f validate.Fields
	a := paymentdb.Acceptance{
		ID: f.UUID("orders_database", r.GetOrdersDatabase()), Operator: identity.Of(ctx), Reason: r.GetReason(),
	}
	f.Line("reason", a.Reason, maxReason)
	if a.Operator == "" {
		a.Operator = r.GetOperator()
		f.Operator("operator", a.Operator)
	}
	return a, f.Err()
}

// textOf returns an identity, "" for none.
func textOf(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}
