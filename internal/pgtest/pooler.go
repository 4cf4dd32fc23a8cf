package pgtest

import (
	"net/url"
	"testing"

	"hosho/internal/pgembed"
)

// Pooler returns the URL by which a database is reached through a PgBouncer in transaction mode, which ends with the
// test. The settings are those of its section [pgbouncer]; they may be nil. Where there is no PgBouncer the test is
// left out: make pgbouncer installs it, CI does so, and make test says when it is missing.
func Pooler(t testing.TB, databaseURL string, settings map[string]string) string {
	t.Helper()
	address, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	PoolerOrLeaveOut(t)
	pooler, err := pgembed.StartPooler(t.Context(), pgembed.PoolerConfig{Server: address.Host, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pooler.Stop(); err != nil {
			t.Error(err)
		}
	})
	address.Host = pooler.Address()
	return address.String()
}

// PoolerOrLeaveOut leaves a test out, as Pooler does, that has somebody else start a PgBouncer.
func PoolerOrLeaveOut(t testing.TB) {
	t.Helper()
	if _, err := pgembed.FindPooler(); err != nil {
		t.Skipf("left out: it wants a pooler: %v", err)
	}
}
