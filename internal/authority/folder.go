package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// How long what Fill makes is good for.
const (
	CertificatesTime = 90 * 24 * time.Hour
	authoritysTime   = 2 * 365 * 24 * time.Hour
)

// The names of the files in a folder of Fill's, and in that of each identity below it.
const (
	AuthorityKey = "authority.key"
	CertFile     = "tls.crt"
	KeyFile      = "tls.key"
	CAFile       = "ca.crt"
)

// Domain is where all identities of Fill's are: spiffe://hosho.test/orderd. Nobody owns a name below test (RFC 2606).
const Domain = "hosho.test"

// ID returns the identity of a name.
func ID(name string) string { return "spiffe://" + Domain + "/" + name }

// Fill makes a certificate in a folder for each of the names, in a folder of its own below it, with its key and the
// authority's certificate: what the process of that name needs, and no more. Hosts are by which all of them may be
// dialled. The authority is kept, if there is one that is good for as long as the certificates are; the certificates
// are made anew.
func Fill(folder string, names, hosts []string) (*Authority, error) {
	until := time.Now().Add(CertificatesTime)
	a, err := keep(folder, until)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		pair, err := a.Issue(Wanted{Identity: ID(name), Names: append([]string{name}, hosts...), Until: until})
		if err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", name, err)
		}
		if err := Put(filepath.Join(folder, name), pair, a.Cert()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Put makes a certificate, its key and the authorities the files of a process's folder, each in one step.
func Put(folder string, pair Pair, authorities []byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for file, text := range map[string][]byte{CertFile: pair.Cert, KeyFile: pair.Key, CAFile: authorities} {
		if err := replace(filepath.Join(folder, file), text); err != nil {
			return err
		}
	}
	return nil
}

// keep returns the folder's authority, or a new one where there is none.
func keep(folder string, until time.Time) (*Authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	certFile, keyFile := filepath.Join(folder, CAFile), filepath.Join(folder, AuthorityKey)
	cert, certErr := os.ReadFile(certFile)
	key, keyErr := os.ReadFile(keyFile)
	switch err := errors.Join(certErr, keyErr); {
	case err == nil:
		a, err := Read(Pair{cert, key})
		if err == nil && a.Until().Before(until) {
			err = fmt.Errorf("it expires at %s, before what it would sign: remove both for a new one",
				a.Until().Format(time.DateOnly))
		}
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", certFile, keyFile, err)
		}
		return a, nil
	case !errors.Is(certErr, fs.ErrNotExist) || !errors.Is(keyErr, fs.ErrNotExist):
		return nil, fmt.Errorf("an authority's certificate and its key belong together: %w: "+
			"put it back, or remove the other one for a new authority", err)
	}
	a, pair, err := New("hosho development", time.Now().Add(authoritysTime))
	if err != nil {
		return nil, err
	}
	return a, errors.Join(replace(keyFile, pair.Key), replace(certFile, pair.Cert))
}

// replace writes a file that nobody but its owner reads, in one step: who reads it meanwhile reads the old one or the
// new one.
func replace(file string, text []byte) error {
	made, err := os.CreateTemp(filepath.Dir(file), ".new-") // 0600
	if err != nil {
		return err
	}
	_, err = made.Write(text)
	if err = errors.Join(err, made.Close()); err == nil {
		err = os.Rename(made.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(made.Name()))
	}
	return nil
}
