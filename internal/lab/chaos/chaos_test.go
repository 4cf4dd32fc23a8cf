package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/stack"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// watching are the flags that have the daemons watched for data races, if the test itself is.
var watching []string

func TestMain(m *testing.M) { pgtest.Main(m) }

// Some seconds of everything at once, on real processes and real databases: nothing is lost.
func TestNothingIsLostWhateverFails(t *testing.T) {
	slow.Long(t, "breaks the whole system for 12 s")
	report := broken(t, Config{Duration: time.Duration(slow.Times(12, 30)) * time.Second})
	if report.Statuses["CANCELLED"] == 0 {
		t.Errorf("got %v, want some of each", report.Statuses)
	}
}

// A daemon's certificate runs out while customers order: their orders wait, none is given up, and the next certificate
// is found by itself.
func TestAnExpiredCertificateLosesNothing(t *testing.T) {
	slow.Long(t, "waits until a certificate has run out, and until the next one is found")
	broken(t, Config{
		TLS: true, Faults: []string{"expired-certificate"}, Length: certificateLeft + 2*time.Second,
		Duration: time.Duration(slow.Times(1, 60)) * time.Second,
	})
}

// broken runs a system at the quick pace, and fails the test when anything is found. A failure keeps logs and
// databases, and prints the seed that makes the same schedule.
func broken(t *testing.T, c Config) Report {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "hosho-c-") // short: the databases' sockets are in there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and databases are kept in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(t.Context(), bin, append(watching, "-tags", failpoint.Tag)...); err != nil {
		t.Fatal(err)
	}
	c.Bin, c.Dir, c.Seed = bin, filepath.Join(dir, "data"), uint64(time.Now().UnixNano())%1_000_000
	c.Relays, c.Clients, c.Pace, c.Tell = 2, 32, Quick(), func(text string) { t.Log(text) }
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Found {
		t.Errorf("seed %d: %s: %s", report.Seed, v.Rule, v.Detail)
	}
	if report.Orders < warmUp || report.Injections() == 0 || report.Statuses["COMPLETED"] == 0 {
		t.Errorf("got %d orders, %d faults and %v, want some of each", report.Orders, report.Injections(),
			report.Statuses)
	}
	t.Logf("seed %d: %d orders, %d faults, %d kills, %d database crashes", report.Seed, report.Orders,
		report.Injections(), report.Kills, report.Crashes)
	return report
}
