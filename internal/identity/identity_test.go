package identity_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"hosho/internal/authority"
	"hosho/internal/identity"
)

const (
	shop     = "spiffe://example.org/shop"
	paymentd = "spiffe://example.org/paymentd"
)

func newAuthority(t testing.TB) *authority.Authority {
	t.Helper()
	a, _, err := authority.New("test", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue has a test's certificate made; prepare, if not nil, has it be another one than it would be.
func issue(t testing.TB, a *authority.Authority, id string, prepare func(*authority.Wanted)) authority.Pair {
	t.Helper()
	w := authority.Wanted{Identity: id, Names: []string{"localhost", "127.0.0.1"}, Until: time.Now().Add(time.Hour)}
	if prepare != nil {
		prepare(&w)
	}
	p, err := a.Issue(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write puts files where they are looked for.
func write(t testing.TB, f identity.Files, p authority.Pair, authorities ...[]byte) {
	t.Helper()
	var all []byte
	for _, a := range authorities {
		all = append(all, a...)
	}
	for file, text := range map[string][]byte{f.Cert: p.Cert, f.Key: p.Key, f.CA: all} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func filesIn(dir string) identity.Files {
	return identity.Files{
		Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt"),
	}
}

func open(t testing.TB, p authority.Pair, authorities ...[]byte) (*identity.Keeper, identity.Files) {
	t.Helper()
	files := filesIn(t.TempDir())
	write(t, files, p, authorities...)
	k, err := identity.Open(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k, files
}

// met is what both ends of a connection know of each other.
type met struct {
	client, server       string // as the other end knows it
	clientErr, serverErr error
}

// meet connects a client with a server, and has each read a byte of the other.
func meet(t testing.TB, client, server credentials.TransportCredentials, name string) (m met) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		raw, err := listener.Accept()
		if err != nil {
			m.serverErr = err
			return
		}
		defer raw.Close()
		conn, info, err := server.ServerHandshake(raw)
		if m.serverErr = err; err != nil {
			return
		}
		m.client = info.(identity.Peer).ID
		_, m.serverErr = io.CopyN(conn, conn, 1)
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn, info, err := client.ClientHandshake(t.Context(), name, raw)
	if m.clientErr = err; err == nil {
		if p, ok := info.(identity.Peer); ok {
			m.server = p.ID
		}
		if _, err = conn.Write([]byte{1}); err == nil {
			_, err = io.ReadFull(conn, make([]byte, 1))
		}
		m.clientErr = err
	}
	raw.Close()
	<-served
	return m
}

func TestBothEndsKnowEachOther(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	client, _ := open(t, issue(t, a, shop, nil), a.Cert())
	server, _ := open(t, issue(t, a, paymentd, nil), a.Cert())
	for name, expected := range map[string]string{"localhost": "", "127.0.0.1": "", "another.example": paymentd} {
		m := meet(t, client.Client(expected), server.Server(nil), name)
		if m.clientErr != nil || m.serverErr != nil || m.client != shop || m.server != paymentd {
			t.Errorf("%s: got %+v, want both known", name, m)
		}
	}
}

// Whoever comes is refused who is not who he must be, by the end that sees it, before a message is read.
func TestWhoIsNotWhoHeMustBeIsRefused(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	server, _ := open(t, issue(t, a, paymentd, nil), a.Cert())
	good := issue(t, a, shop, nil)
	hour := time.Hour
	for name, tt := range map[string]struct {
		client     credentials.TransportCredentials
		server     credentials.TransportCredentials // server's, if nil
		clientSees string
		serverSees string
	}{
		"no TLS":         {client: plain{}, serverSees: "first record does not look like a TLS handshake"},
		"no certificate": {client: with(nil), serverSees: "didn't provide a certificate"},
		"another authority's": {
			client: with(issueRaw(t, other, shop, nil)), serverSees: "signed by unknown authority",
		},
		"an expired one": {client: with(issueRaw(t, a, shop, func(w *authority.Wanted) {
			w.From, w.Until = time.Now().Add(-2*hour), time.Now().Add(-time.Minute)
		})), serverSees: "expired"},
		"one whose time has not come": {client: with(issueRaw(t, a, shop, func(w *authority.Wanted) {
			w.From = time.Now().Add(hour / 2)
		})), serverSees: "not yet valid"},
		"a name that is no identity": {
			client: with(issueRaw(t, a, "https://example.org/shop", nil)), serverSees: "names nobody",
		},
		"an identity without a path": {
			client: with(issueRaw(t, a, "spiffe://example.org", nil)), serverSees: "no path",
		},
		"another server's name": {
			client: keeper(t, good, a).Client(""), clientSees: "not elsewhere.example",
		},
		"another server's identity": {
			client:     keeper(t, good, a).Client(paymentd + "2"),
			clientSees: "the server is " + paymentd + ", want " + paymentd + "2",
		},
		"a server of another authority": {
			client:     keeper(t, good, a).Client(paymentd),
			server:     keeper(t, issue(t, other, paymentd, nil), other, a).Server(nil),
			clientSees: "signed by unknown authority",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := tt.server
			if at == nil {
				at = server.Server(nil)
			}
			m := meet(t, tt.client, at, "elsewhere.example")
			for end, is := range map[string]struct {
				err  error
				want string
			}{"client": {m.clientErr, tt.clientSees}, "server": {m.serverErr, tt.serverSees}} {
				if is.err == nil || !strings.Contains(is.err.Error(), is.want) {
					t.Errorf("%s: got %v, want %q", end, is.err, is.want)
				}
			}
		})
	}
}

func keeper(t testing.TB, p authority.Pair, all ...*authority.Authority) *identity.Keeper {
	t.Helper()
	var texts [][]byte
	for _, a := range all {
		texts = append(texts, a.Cert())
	}
	k, _ := open(t, p, texts...)
	return k
}

// with are a client's credentials that check nothing, with a certificate that no Keeper would take.
func with(p *tls.Certificate) credentials.TransportCredentials {
	config := &tls.Config{InsecureSkipVerify: true}
	if p != nil {
		config.Certificates = []tls.Certificate{*p}
	}
	return credentials.NewTLS(config)
}

func issueRaw(t testing.TB, a *authority.Authority, id string, prepare func(*authority.Wanted)) *tls.Certificate {
	t.Helper()
	p := issue(t, a, id, prepare)
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// plain is a client that knows no TLS.
type plain struct {
	credentials.TransportCredentials
}

func (plain) ClientHandshake(_ context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	_, err := raw.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	return raw, nil, err
}

// What is wrong with the files is told at the start, and which it is.
func TestFilesThatAreNoGoodAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	good := issue(t, a, shop, nil)
	for name, tt := range map[string]struct {
		pair authority.Pair
		ca   []byte
		want string
	}{
		"another one's key": {
			authority.Pair{Cert: good.Cert, Key: issue(t, a, shop, nil).Key}, a.Cert(), "does not match",
		},
		"no key":                {authority.Pair{Cert: good.Cert}, a.Cert(), "tls.key"},
		"another authority's":   {good, other.Cert(), "unknown authority"},
		"no authority":          {good, nil, "no certificate of an authority"},
		"a certificate for one": {good, good.Cert, "may sign none"},
		"a key for one":         {good, good.Key, "PRIVATE KEY"},
		"expired": {issue(t, a, shop, func(w *authority.Wanted) {
			w.From, w.Until = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}), a.Cert(), "expired"},
		"nobody's": {issue(t, a, "https://example.org/shop", nil), a.Cert(), "names nobody"},
	} {
		files := filesIn(t.TempDir())
		write(t, files, tt.pair, tt.ca)
		if _, err := identity.Open(files, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	files := filesIn(t.TempDir())
	if _, err := identity.Open(files, nil); err == nil || !strings.Contains(err.Error(), files.Cert) {
		t.Errorf("no files: got %v, want the name of one", err)
	}
	if _, err := identity.Open(identity.Files{Cert: "a", Key: "b"}, nil); err == nil ||
		!strings.Contains(err.Error(), "--tls-ca") {
		t.Errorf("no authorities: got %v, want --tls-ca", err)
	}
}

func TestIdentitiesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		shop: true, "spiffe://example.org/a/b": true, "spiffe://example.org": false, "spiffe://example.org/": false,
		"https://example.org/shop": false, "": false, "spiffe://example.org/a b": false, "spiffe:///shop": false,
	} {
		if got, err := identity.Parse(text); (err == nil) != good || good && got != text {
			t.Errorf("%q: got %q, error %v; want it taken %v", text, got, err, good)
		}
	}
}
