package identity_test

import (
	"bytes"
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hosho/internal/authority"
	"hosho/internal/identity"
)

// Key, certificate and authority are changed under two processes, one after the other, and they know each other all
// the time: while it changes both authorities are trusted.
func TestTheAuthorityIsChangedUnderWhoTalks(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t), newAuthority(t)
	client, clientFiles := open(t, issue(t, old, shop, nil), old.Cert())
	server, serverFiles := open(t, issue(t, old, paymentd, nil), old.Cert())
	in, out := server.Server(nil), client.Client(paymentd)
	for _, step := range []struct {
		what   string
		change func()
	}{
		{"both trust both", func() {
			write(t, clientFiles, issue(t, old, shop, nil), old.Cert(), next.Cert())
			write(t, serverFiles, issue(t, old, paymentd, nil), old.Cert(), next.Cert())
		}},
		{"the server has the next one's", func() {
			write(t, serverFiles, issue(t, next, paymentd, nil), old.Cert(), next.Cert())
		}},
		{"the client has the next one's", func() {
			write(t, clientFiles, issue(t, next, shop, nil), old.Cert(), next.Cert())
		}},
		{"nobody trusts the old one", func() {
			write(t, clientFiles, issue(t, next, shop, nil), next.Cert())
			write(t, serverFiles, issue(t, next, paymentd, nil), next.Cert())
		}},
	} {
		step.change()
		client.Look(time.Now())
		server.Look(time.Now())
		if m := meet(t, out, in, "localhost"); m.clientErr != nil || m.serverErr != nil || m.client != shop {
			t.Errorf("%s: got %+v, want both known", step.what, m)
		}
	}
	m := meet(t, with(issueRaw(t, old, shop, nil)), in, "localhost")
	if m.serverErr == nil || !strings.Contains(m.serverErr.Error(), "unknown authority") {
		t.Errorf("a certificate of the old authority: got %v, want it refused", m.serverErr)
	}
	if n := client.Refused(t) + server.Refused(t); n > 0 {
		t.Errorf("got %d changes refused, want none", n)
	}
}

// A server of HTTP has the certificate, and trusts the authorities, that its files have now, and no other protocol than
// HTTP/1.1 is spoken with it. That of gRPC speaks its own.
func TestAServerOfHTTPHasWhatItsFilesHave(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t), newAuthority(t)
	server, files := open(t, issue(t, old, paymentd, nil), old.Cert())
	config := server.HTTP()
	before, err := config.GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, files, issue(t, next, paymentd, nil), next.Cert())
	server.Look(time.Now())
	after, err := config.GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before.Certificates[0].Certificate[0], after.Certificates[0].Certificate[0]) ||
		before.ClientCAs.Equal(after.ClientCAs) {
		t.Error("got the certificate and the authorities of the beginning")
	}
	if !slices.Equal(after.NextProtos, []string{"http/1.1"}) || after.ClientAuth != tls.RequireAndVerifyClientCert ||
		!after.SessionTicketsDisabled {
		t.Errorf("got %v, %v, want HTTP/1.1 with a certificate of the client", after.NextProtos, after.ClientAuth)
	}
	if m := meet(t, with(issueRaw(t, next, shop, nil)), server.Server(nil), ""); m.serverErr != nil {
		t.Errorf("gRPC: got %+v, want it as it was", m)
	}
}

// What is put there is no good: the old one is used, and it is counted and told once, however often it is looked at.
func TestABadFileIsKeptOut(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	good := issue(t, a, shop, nil)
	for name, put := range map[string]func(files identity.Files){
		"another one's key": func(f identity.Files) {
			write(t, f, authority.Pair{Cert: good.Cert, Key: issue(t, a, shop, nil).Key}, a.Cert())
		},
		"another identity":  func(f identity.Files) { write(t, f, issue(t, a, paymentd, nil), a.Cert()) },
		"another authority": func(f identity.Files) { write(t, f, good, newAuthority(t).Cert()) },
		"half a file":       func(f identity.Files) { write(t, f, good, a.Cert()[:200]) },
		"no file": func(f identity.Files) {
			if err := os.Remove(f.Key); err != nil {
				t.Error(err)
			}
		},
	} {
		client, files := open(t, good, a.Cert())
		server := keeper(t, issue(t, a, paymentd, nil), a)
		put(files)
		for range 3 {
			client.Look(time.Now())
		}
		if m := meet(t, client.Client(paymentd), server.Server(nil), ""); m.clientErr != nil || m.client != shop {
			t.Errorf("%s: got %+v, want the old one used", name, m)
		}
		if n := client.Refused(t); n != 1 {
			t.Errorf("%s: got %d changes refused, want one", name, n)
		}
		write(t, files, issue(t, a, shop, nil), a.Cert())
		client.Look(time.Now())
		put(files)
		client.Look(time.Now())
		if n := client.Refused(t); n != 2 {
			t.Errorf("%s: got %d changes refused after a good one, want two", name, n)
		}
	}
}

// A certificate was put there before its time. It is taken when that has come, though nothing changes any more.
func TestACertificateIsTakenWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	client, files := open(t, issue(t, a, shop, nil), a.Cert())
	next := issue(t, a, shop, func(w *authority.Wanted) { w.From = time.Now().Add(30 * time.Minute) })
	write(t, files, next, a.Cert())
	client.Look(time.Now())
	if n := client.Refused(t); n != 1 {
		t.Errorf("got %d refused before its time, want one", n)
	}
	for range 2 {
		client.Look(time.Now().Add(40 * time.Minute))
	}
	server := keeper(t, issue(t, a, paymentd, nil), a)
	m := meet(t, client.Client(paymentd), server.Server(nil), "")
	if m.serverErr == nil || !strings.Contains(m.serverErr.Error(), "not yet valid") {
		t.Errorf("got %+v, want the next one used, which is not good yet by the server's clock", m)
	}
	if n := client.Refused(t); n != 1 {
		t.Errorf("got %d refused, want no more", n)
	}
}

// A certificate is renewed, and the authority after it. While the authority changes it is the next one's end that
// counts.
func TestMetricsSayUntilWhenFilesAreGood(t *testing.T) {
	t.Parallel()
	soon, later, last := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), time.Now().Add(3*time.Hour)
	old := newAuthority(t)
	lasting, _, err := authority.New("lasting", last)
	if err != nil {
		t.Fatal(err)
	}
	client, files := open(t, issue(t, old, shop, func(w *authority.Wanted) { w.Until = soon.Add(-time.Minute) }),
		old.Cert(), lasting.Cert())
	wantUntil := func(cert, ca time.Time, taken int) {
		t.Helper()
		if got := client.Until(t, "cert"); got != cert.Unix() {
			t.Errorf("the certificate: got %v, want %v", time.Unix(got, 0), cert)
		}
		if got := client.Until(t, "ca"); got != ca.Unix() {
			t.Errorf("the authority: got %v, want %v", time.Unix(got, 0), ca)
		}
		if got := client.Taken(t); got != taken {
			t.Errorf("got %d changes taken, want %d", got, taken)
		}
	}
	wantUntil(soon.Add(-time.Minute), old.Until(), 0)
	write(t, files, issue(t, lasting, shop, func(w *authority.Wanted) { w.Until = later }), old.Cert(), lasting.Cert())
	client.Look(time.Now())
	wantUntil(later, last, 1)
}
