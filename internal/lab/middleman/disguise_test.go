package middleman

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/authority"
	"hosho/internal/identity"
	"hosho/internal/rpc"
)

// Where there are certificates, a relay takes the middleman for paymentd, and paymentd takes it for a relay. It lets in
// nobody who has none.
func TestItIsTakenForEitherByTheOther(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := authority.Fill(folder, []string{"paymentd", "relay"}, nil); err != nil {
		t.Fatal(err)
	}
	as := Disguise{Paymentd: keeper(t, folder, "paymentd"), Relay: keeper(t, folder, "relay")}
	b, m, client := disguised(t, as)
	m.Behave(Behaviour{Trick: CodeAfter, Share: 0.5})
	if got := sendTwo(t, client); len(got) != 2 {
		t.Errorf("got %v, want two answers", got)
	}
	b.mu.Lock()
	by := b.by
	b.mu.Unlock()
	if by != authority.ID("relay") {
		t.Errorf("paymentd takes it for %q, want the relay", by)
	}
	nobody, err := rpc.Dial(m.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	_, err = paymentv1.NewPaymentServiceClient(nobody).GetDatabase(ctx, &paymentv1.GetDatabaseRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v for who has no certificate, want that he gets no connection", err)
	}
}

func keeper(t *testing.T, folder, name string) *identity.Keeper {
	t.Helper()
	own := filepath.Join(folder, name)
	k, err := identity.Open(identity.Files{
		Cert: filepath.Join(own, authority.CertFile), Key: filepath.Join(own, authority.KeyFile),
		CA: filepath.Join(own, authority.CAFile),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
