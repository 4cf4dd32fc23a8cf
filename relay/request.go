package main

import (
	"cmp"
	"context"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/identity"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/page"
	"hosho/internal/validate"
)

// kinds are the commands that a request may name.
var kinds = map[relayv1.ParkedCommand_Kind]order.Command{
	relayv1.ParkedCommand_KIND_CHARGE: order.Charge,
	relayv1.ParkedCommand_KIND_VOID:   order.Void,
}

// fromRetry reads a request once, as all of this file do: it returns what is asked for, in the domain's values, or a
// *validate.Error that names every field at fault.
func fromRetry(ctx context.Context, r *relayv1.RetryParkedRequest) (orderdb.Retry, error) {
	var f validate.Fields
	id := f.UUID("order_id", r.GetOrderId())
	kind, known := kinds[r.GetKind()]
	if !known {
		f.Add("kind", "got %v, want KIND_CHARGE or KIND_VOID", r.GetKind())
	}
	operator := operatorOf(ctx, &f, cmp.Or(r.GetOperator(), unknownOperator))
	reason := cmp.Or(r.GetReason(), noReason)
	f.Line("reason", reason, maxReason)
	return orderdb.Retry{OrderID: id, Kind: kind, Operator: operator, Reason: reason}, f.Err()
}

// What is written down of a retry by a client that does not say who wants it, or why.
const (
	unknownOperator = "unknown"
	noReason        = "none given"
)

const maxReason = 500 // characters, as the table's constraint says

func fromSettle(ctx context.Context, r *relayv1.SettleParkedRequest) (orderdb.Decision, error) {
	var f validate.Fields
	id := f.UUID("order_id", r.GetOrderId())
	f.Line("reason", r.GetReason(), maxReason)
	operator := operatorOf(ctx, &f, r.GetOperator())
	return orderdb.Decision{
		OrderID: id, Operator: operator, Reason: r.GetReason(), Codes: order.ConflictCodes,
	}, f.Err()
}

// operatorOf returns who is written down: whom the caller's certificate names, whatever name he gives, since that may
// be anybody's; without certificates the name that he gives, which is all there is.
func operatorOf(ctx context.Context, f *validate.Fields, given string) string {
	if id := identity.Of(ctx); id != "" {
		return id
	}
	f.Operator("operator", given)
	return given
}

func fromAccept(ctx context.Context, r *relayv1.AcceptPaymentsDatabaseRequest) (orderdb.Acceptance, error) {
	var f validate.Fields
	id := f.UUID("payments_database", r.GetPaymentsDatabase())
	f.Line("reason", r.GetReason(), maxReason)
	operator := operatorOf(ctx, &f, r.GetOperator())
	return orderdb.Acceptance{ID: id, Operator: operator, Reason: r.GetReason()}, f.Err()
}

// fromID returns an order's id as the database writes it.
func fromID(sent string) (string, error) {
	var f validate.Fields
	id := f.UUID("order_id", sent)
	return id, f.Err()
}

// checkList finds a page_size that is none. Where the page begins is in its token, and there is no other choice.
func checkList(r *relayv1.ListParkedRequest) error {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	return f.Err()
}

// fromCommands returns which kind of commands is asked for, "" for each.
func fromCommands(r *relayv1.ListCommandsRequest) (order.Command, error) {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	kind, known := kinds[r.GetKind()]
	if !known && r.GetKind() != relayv1.ParkedCommand_KIND_UNSPECIFIED {
		f.Add("kind", "got %v, want KIND_CHARGE, KIND_VOID, or none for both", r.GetKind())
	}
	return kind, f.Err()
}
