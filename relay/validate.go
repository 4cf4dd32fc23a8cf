package main

import (
	"strings"
	"unicode/utf8"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/page"
	"hosho/internal/validate"
)

// Each check answers a *validate.Error that names every field at fault, or nil.

func checkList(r *relayv1.ListParkedRequest) error {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	return f.Err()
}

func checkRetry(r *relayv1.RetryParkedRequest) error {
	var f validate.Fields
	f.UUID("order_id", r.GetOrderId())
	if _, known := kinds[r.GetKind()]; !known {
		f.Add("kind", "got %v, want KIND_CHARGE or KIND_VOID", r.GetKind())
	}
	return f.Err()
}

func checkExplain(r *relayv1.ExplainOrderRequest) error {
	var f validate.Fields
	f.UUID("order_id", r.GetOrderId())
	return f.Err()
}

const maxReason = 500 // characters, as the table's constraint says

func checkSettle(r *relayv1.SettleParkedRequest) error {
	var f validate.Fields
	f.UUID("order_id", r.GetOrderId())
	if n := utf8.RuneCountInString(r.GetReason()); n < 1 || n > maxReason || strings.ContainsRune(r.GetReason(), 0) {
		f.Add("reason", "got %d characters, want 1 to %d and no NUL", n, maxReason)
	}
	f.Operator("operator", r.GetOperator())
	return f.Err()
}
