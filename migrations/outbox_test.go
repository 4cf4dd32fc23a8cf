package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hosho/internal/pgtest"
)

func TestOutboxConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	tests := []struct {
		change     row
		constraint string
	}{
		{row{}, ""},
		{row{"kind": "VOID", "expires_at": nil}, ""},
		{row{"kind": ""}, "outbox_kind_form"},
		{row{"kind": "charge"}, "outbox_kind_form"},
		{row{"attempts": -1}, "outbox_counts"},
		{row{"claims": 3, "answers": 3, "attempts": 3}, ""},
		{row{"claims": 2, "answers": 3}, "outbox_counts"},
		{row{"answers": -1}, "outbox_counts"},
		{row{"parked_at": "now"}, ""},
		{row{"lease_token": uuid.NewString()}, ""},
		{row{"parked_at": "now", "lease_token": uuid.NewString()}, "outbox_parked_unleased"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.change), func(t *testing.T) {
			refused(t, aCommand().with(tt.change).insert(t.Context(), db.Pool, "outbox"), tt.constraint)
		})
	}
}

func TestOneCommandOfAKind(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	charge := aCommand()
	refused(t, charge.insert(t.Context(), db.Pool, "outbox"), "")
	refused(t, charge.insert(t.Context(), db.Pool, "outbox"), "outbox_one_of_a_kind")
	refused(t, charge.with(row{"kind": "VOID"}).insert(t.Context(), db.Pool, "outbox"), "")
	refused(t, charge.with(row{"key": uuid.NewString()}).insert(t.Context(), db.Pool, "outbox"), "")
}

func aCommand() row {
	return row{"key": uuid.NewString(), "kind": "CHARGE", "payload": []byte{1}, "expires_at": "infinity"}
}

func TestAuditConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	settled := newOrder(t, db)
	decision := row{"action": "SETTLE", "operator": "ops@example.com", "reason": "the key is another shop's"}
	refused(t, decision.with(row{"order_id": settled}).insert(t.Context(), db.Pool, "audit"), "")
	tests := []struct {
		change     row
		constraint string
	}{
		{row{"order_id": settled}, "audit_once"},
		{row{"order_id": uuid.NewString()}, ""},
		{row{"order_id": settled, "action": "RETRY", "kind": "CHARGE"}, ""},
		{row{"order_id": settled, "action": "RETRY", "kind": "CHARGE"}, ""}, // and again
		{row{"action": "RETRY"}, "audit_kind_of_retries"},
		{row{"kind": "VOID"}, "audit_kind_of_retries"},
		{row{"action": "RETRY", "kind": "REFUND"}, "audit_kind_known"},
		{row{"action": "DELETE"}, "audit_action_known"},
		{row{"operator": ""}, "audit_operator_form"},
		{row{"operator": "two words"}, "audit_operator_form"},
		{row{"reason": ""}, "audit_reason_given"},
		{row{"reason": strings.Repeat("r", 500)}, ""},
		{row{"reason": strings.Repeat("r", 501)}, "audit_reason_given"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.constraint), func(t *testing.T) {
			changed := decision.with(row{"order_id": newOrder(t, db)}).with(tt.change)
			refused(t, changed.insert(t.Context(), db.Pool, "audit"), tt.constraint)
		})
	}
}

func TestAttemptConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	attempt := row{
		"order_id": newOrder(t, db), "command_id": 7, "claim": 2, "code": "INTERNAL", "kind": "CHARGE",
		"relay": "host:1",
		"rpc":   "ProcessPayments", "means": "AMBIGUOUS", "latency": "2 ms", "trace_id": strings.Repeat("a", 32),
		"retry_in": "100 ms",
	}
	refused(t, attempt.insert(t.Context(), db.Pool, "attempts"), "")
	tests := []struct {
		change     row
		constraint string
	}{
		{row{}, "attempts_pkey"},
		{row{"code": "EXPIRED", "claim": 0, "rpc": nil, "trace_id": nil, "retry_in": nil}, ""},
		{row{"command_id": 8}, ""},
		{row{"order_id": uuid.NewString()}, ""},
		{row{"claim": -1}, "attempts_claim_counts"},
		{row{"kind": "REFUND"}, "attempts_kind_known"},
		{row{"rpc": "GetPayment"}, "attempts_rpc_known"},
		{row{"means": "TIMED OUT"}, "attempts_means_known"},
		{row{"trace_id": strings.Repeat("A", 32)}, "attempts_trace_id_form"},
		{row{"latency": "-1 ms"}, "attempts_times_run_forward"},
		{row{"retry_in": "-1 ms"}, "attempts_times_run_forward"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.change), func(t *testing.T) {
			refused(t, attempt.with(tt.change).insert(t.Context(), db.Pool, "attempts"), tt.constraint)
		})
	}
}
