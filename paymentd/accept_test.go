package main

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	grpcpeer "google.golang.org/grpc/peer"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/identity"
	"hosho/internal/validate"
)

// An orders database is trusted by an operator, once, and he is remembered. GetDatabase tells which it is.
func TestAnOperatorAcceptsAnOrdersDatabase(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second := newID(), newID()
	accept := func(id, want string) {
		t.Helper()
		got, err := s.AcceptOrdersDatabase(t.Context(), &paymentv1.AcceptOrdersDatabaseRequest{
			OrdersDatabase: id, Reason: "moved to new hardware", Operator: "ada",
		})
		if err != nil || got.GetPrevious() != want {
			t.Errorf("accept %s: got %v, %v, want %q before", id, got, err, want)
		}
		is, err := s.GetDatabase(t.Context(), &paymentv1.GetDatabaseRequest{})
		if err != nil || is.GetOrdersDatabase() != id {
			t.Errorf("got %v, %v, want %s trusted", is, err, id)
		}
	}
	is, err := s.GetDatabase(t.Context(), &paymentv1.GetDatabaseRequest{})
	if err != nil || is.GetOrdersDatabase() != "" {
		t.Errorf("got %v, %v, want none trusted", is, err)
	}
	accept(first, "")
	accept(second, first)
	accept(second, "")
	var n int
	err = s.db.Pool.QueryRow(t.Context(), `
		SELECT count(*) FROM orders_database_audit
		WHERE operator = 'ada' AND reason = 'moved to new hardware' AND to_id IN ($1, $2)`, first, second).Scan(&n)
	if err != nil || n != 2 {
		t.Errorf("got %d rows in the audit, %v, want 2", n, err)
	}
	if line := s.log.await("orders database accepted"); line["level"] != "WARN" || line["operator"] != "ada" {
		t.Errorf("got log %v, want a warning with the operator", line)
	}
}

// Why another orders database is trusted is read by others, who must not read what nobody wrote.
func TestAcceptOrdersDatabaseRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := paymentv1.AcceptOrdersDatabaseRequest{OrdersDatabase: newID(), Reason: "moved", Operator: "ada"}
	for _, bad := range []*paymentv1.AcceptOrdersDatabaseRequest{
		{OrdersDatabase: "here", Reason: good.GetReason(), Operator: good.GetOperator()},
		{OrdersDatabase: good.GetOrdersDatabase(), Operator: good.GetOperator()},
		{OrdersDatabase: good.GetOrdersDatabase(), Reason: "moved\r\naccepted by eve", Operator: good.GetOperator()},
		{OrdersDatabase: good.GetOrdersDatabase(), Reason: "99\u202e", Operator: good.GetOperator()},
		{OrdersDatabase: good.GetOrdersDatabase(), Reason: good.GetReason()},
	} {
		_, err := s.AcceptOrdersDatabase(t.Context(), bad)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS")
	}
}

// The certificate says who the operator is, whatever name is sent; without one there is only that.
func TestAnOperatorIsWhomHisCertificateNames(t *testing.T) {
	t.Parallel()
	const ada = "spiffe://example.org/people/ada"
	certified := grpcpeer.NewContext(t.Context(), &grpcpeer.Peer{AuthInfo: identity.Peer{ID: ada}})
	request := &paymentv1.AcceptOrdersDatabaseRequest{OrdersDatabase: newID(), Reason: "why"}
	for _, given := range []string{"", "bob", "no name at all"} {
		request.Operator = given
		if got, err := fromAccept(certified, request); err != nil || got.Operator != ada {
			t.Errorf("with a certificate, as %q: got %q, %v", given, got.Operator, err)
		}
	}
	request.Operator = ada // which would look like one
	if _, err := fromAccept(t.Context(), request); !errors.As(err, new(*validate.Error)) {
		t.Errorf("without, as %q: got %v, want it refused", ada, err)
	}
}
