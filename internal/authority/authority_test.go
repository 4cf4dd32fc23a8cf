package authority_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hosho/internal/authority"
)

func TestTheIdentityOfAName(t *testing.T) {
	t.Parallel()
	if got := authority.ID("orderd"); got != "spiffe://hosho.test/orderd" {
		t.Errorf("got %q, want it in the domain", got)
	}
}

// A folder that is filled again keeps its authority, and all that its certificates were is new. Keys are nobody else's.
func TestAFolderIsFilledAgain(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "certs")
	before := fill(t, folder)
	after := fill(t, folder)
	for file, text := range before {
		ofAuthority := filepath.Base(file) == authority.CAFile || filepath.Base(file) == authority.AuthorityKey
		if same := bytes.Equal(text, after[file]); same != ofAuthority {
			t.Errorf("%s: got the same as before: %t, want %t", file, same, ofAuthority)
		}
	}
	if len(before) != 2+3*2 || len(after) != len(before) {
		t.Errorf("got %d files, and then %d; want the authority's two, and three of each name", len(before), len(after))
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(after[authority.CAFile])
	for _, name := range []string{"orderd", "shop"} {
		cert := parse(t, after[filepath.Join(name, authority.CertFile)])
		for _, dialled := range []string{name, "localhost", "127.0.0.1"} {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: authorities, DNSName: dialled}); err != nil {
				t.Errorf("%s, dialled as %s: %v", name, dialled, err)
			}
		}
		if len(cert.URIs) != 1 || cert.URIs[0].String() != authority.ID(name) {
			t.Errorf("%s: got the URIs %v, want its identity", name, cert.URIs)
		}
	}
}

func fill(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	if _, err := authority.Fill(folder, []string{"orderd", "shop"}, []string{"localhost", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	err := filepath.Walk(folder, func(file string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s: got the mode %o, want 600", file, mode)
		}
		name, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		all[name], err = os.ReadFile(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Half an authority is no folder to fill: a new one would make every certificate worthless that the old one has signed.
func TestAFolderWithHalfAnAuthorityIsRefused(t *testing.T) {
	t.Parallel()
	another, pair, err := authority.New("another", time.Now().Add(10*365*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	_, short, err := authority.New("short", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		put  map[string][]byte // nil: the file is removed
		want string
	}{
		{"without the key", map[string][]byte{authority.AuthorityKey: nil}, "authority.key: no such"},
		{"without the certificate", map[string][]byte{authority.CAFile: nil}, "ca.crt: no such"},
		{"with another's key", map[string][]byte{authority.AuthorityKey: pair.Key}, "the key is not that of"},
		{"with a key that is cut", map[string][]byte{authority.AuthorityKey: pair.Key[:40]}, "want one PRIVATE KEY"},
		{"with two certificates", map[string][]byte{
			authority.CAFile: append(bytes.Clone(pair.Cert), another.Cert()...),
		}, "want one CERTIFICATE"},
		{"that expires soon", map[string][]byte{
			authority.CAFile: short.Cert, authority.AuthorityKey: short.Key,
		}, "remove both for a new one"},
	} {
		folder := t.TempDir()
		before := fill(t, folder)
		for name, text := range tt.put {
			err := os.Remove(filepath.Join(folder, name))
			if err == nil && text != nil {
				err = os.WriteFile(filepath.Join(folder, name), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := authority.Fill(folder, []string{"orderd", "shop"}, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		file := filepath.Join("shop", authority.CertFile)
		if now, err := os.ReadFile(filepath.Join(folder, file)); err != nil || !bytes.Equal(now, before[file]) {
			t.Errorf("%s: got another certificate of the shop (%v), want it left alone", tt.name, err)
		}
	}
}

// A certificate is good when it is said to be, and no longer than who signs it.
func TestACertificateIsGoodAsLongAsItIsSaidToBe(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	a, _, err := authority.New("test", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, until, wantUntil time.Time }{
		{now.Add(-2 * time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)},
		{now.Add(time.Minute), now.Add(2 * time.Minute), now.Add(2 * time.Minute)},
		{now, now.Add(2 * time.Hour), a.Until()},
	} {
		pair, err := a.Issue(authority.Wanted{Identity: authority.ID("shop"), From: tt.from, Until: tt.until})
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, pair.Cert)
		if !got.NotBefore.Equal(tt.from) || !got.NotAfter.Equal(tt.wantUntil) {
			t.Errorf("got %s to %s, want %s to %s", got.NotBefore, got.NotAfter, tt.from, tt.wantUntil)
		}
	}
}
