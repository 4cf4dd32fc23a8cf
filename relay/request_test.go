package main

import (
	"context"
	"errors"
	"testing"

	grpcpeer "google.golang.org/grpc/peer"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/identity"
	"hosho/internal/validate"
)

// Whoever has a certificate cannot have another's name written down, nor none.
func TestAnOperatorIsWhomHisCertificateNames(t *testing.T) {
	t.Parallel()
	const ada = "spiffe://example.org/people/ada"
	certified := grpcpeer.NewContext(t.Context(), &grpcpeer.Peer{AuthInfo: identity.Peer{ID: ada}})
	const id = "0190b6a4-7c5e-7d3a-8f00-0123456789ab"
	read := func(ctx context.Context, given string) (operators [3]string, err error) {
		retry, wrong := fromRetry(ctx, &relayv1.RetryParkedRequest{
			OrderId: id, Kind: relayv1.ParkedCommand_KIND_VOID, Reason: "why", Operator: given,
		})
		decision, wrongToo := fromSettle(ctx, &relayv1.SettleParkedRequest{
			OrderId: id, Reason: "why", Operator: given,
		})
		accept, wrongAsWell := fromAccept(ctx, &relayv1.AcceptPaymentsDatabaseRequest{
			PaymentsDatabase: id, Reason: "why", Operator: given,
		})
		return [3]string{retry.Operator, decision.Operator, accept.Operator}, errors.Join(wrong, wrongToo, wrongAsWell)
	}
	for _, given := range []string{"", "bob", "no name at all"} {
		if got, err := read(certified, given); err != nil || got != [3]string{ada, ada, ada} {
			t.Errorf("with a certificate, as %q: got %q, error %v", given, got, err)
		}
	}
	if got, err := read(t.Context(), "bob"); err != nil || got != [3]string{"bob", "bob", "bob"} {
		t.Errorf("without: got %q, error %v, want bob", got, err)
	}
	if _, err := read(t.Context(), ada); !errors.As(err, new(*validate.Error)) { // which would look like one
		t.Errorf("without, as %q: got %v, want it refused", ada, err)
	}
}
