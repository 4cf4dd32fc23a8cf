package proc_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"hosho/internal/proc"
)

// What a person's shell says to other programs leads no private system elsewhere, and what it says about building
// stays. It changes the environment of the whole test binary: no parallel test.
func TestAPrivateSystemHearsNothingOfAPersonsShell(t *testing.T) {
	for name, stays := range map[string]bool{
		"PGSERVICE": false, "PGOPTIONS": false, "PGSSLROOTCERT": false, "PGCLIENTENCODING": false, "PGDATA": false,
		"ORDERD": false, "ORDERD_LISTEN": false, "PAYMENTD_SIMULATE": false, "RELAY_LEASE": false, "RELAY": false,
		"ORDERS_DATABASE_URL": false, "PAYMENTS_DATABASE_URL_FILE": false, "orderd_log_level": false,
		"SAGACTL_TLS_CERT": false, "SAGACTL_ORDERD_IDENTITY": false,
		"HTTPS_PROXY": false, "https_proxy": false, "ALL_PROXY": false, "NO_PROXY": false,
		"LC_ALL": false, "LANG": false, "LANGUAGE": false, "GRPC_GO_LOG_SEVERITY_LEVEL": false,
		"GOFLAGS": true, "GOPROXY": true, "GORACE": true, "HOSHO_TEST_LONG": true, "TMPDIR": true, "PROC_TEST": true,
	} {
		t.Setenv(name, "x")
		for _, private := range []func() []string{
			func() []string { return proc.Environment() },
			func() []string { proc.Isolate(); return os.Environ() },
		} {
			if got := slices.Contains(private(), name+"=x"); got != stays {
				t.Errorf("%s: got it there: %v, want %v", name, got, stays)
			}
		}
	}
}

func TestSettingsComeAfterTheRest(t *testing.T) {
	t.Setenv("PROC_TEST", "x")
	got := proc.Environment("PROC_TEST=y", "PGPASSWORD=z")
	if last := strings.Join(got[len(got)-2:], " "); last != "PROC_TEST=y PGPASSWORD=z" {
		t.Errorf("got %s at the end, want the settings", last)
	}
}
