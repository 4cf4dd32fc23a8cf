package bench

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// measured runs a short measurement and checks what every one must have.
func measured(t *testing.T, c Config) Result {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "hosho-b-") // short: the databases' sockets are in there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		t.Fatal(err)
	}
	c.Bin, c.Dir = filepath.Join(dir, "bin"), filepath.Join(dir, "data")
	if err := stack.Build(t.Context(), c.Bin); err != nil {
		t.Fatal(err)
	}
	c.Pgbench, c.Tell = time.Second, func(text string) { t.Log(text) }
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range r.Broken {
		t.Error(text)
	}
	if r.Postgres["fsync"] != "on" || r.Postgres["synchronous_commit"] != "on" {
		t.Errorf("got %v, want settings that keep what was acknowledged", r.Postgres)
	}
	return r
}

// Two seconds of load, the way it is measured by default: every figure is there, and sane.
func TestTheFiguresAreSane(t *testing.T) {
	t.Parallel()
	slow.Long(t, "loads a whole system")
	r := measured(t, Config{Duration: 2 * time.Second, Clients: 8, Mode: Stream, Streams: 2, Relays: 1})
	if r.SagasPerSecond <= 0 || r.PgbenchTPS <= 0 || r.Ratio <= 0 || len(r.Pgbench) != 2 || r.Orders == 0 {
		t.Errorf("got %.0f sagas/s, pgbench %v, ratio %v, %d orders; want all of them", r.SagasPerSecond, r.Pgbench,
			r.Ratio, r.Orders)
	}
	for what, of := range map[string]*Spread{"create": r.LatencyMS.Create, "settled": r.LatencyMS.Settled} {
		if of == nil || of.P50 <= 0 || of.P50 > of.P90 || of.P90 > of.P99 || of.P99 > of.Max || of.N == 0 {
			t.Errorf("latency of %s: got %+v", what, of)
		}
	}
	if r.LatencyMS.Settled != nil && r.LatencyMS.Settled.P50 < r.LatencyMS.Create.P50 {
		t.Errorf("orders are settled before they are accepted: %+v", r.LatencyMS)
	}
	for table, most := range map[string]float64{"orders": 2, "outbox": 3, "payments": 1, "ledger": 1} {
		if got := r.RowVersions[table]; got < 1 || got > most+0.5 { // one that is tried again costs more
			t.Errorf("row versions of %s: got %v, want 1 to %v", table, got, most)
		}
	}
	if known := len(r.CPU) > 0; known != (len(r.PgbenchCPU) == 2) || known && slices.Min(r.PgbenchCPU) < 10 {
		t.Errorf("got %v us of CPU for pgbench's transactions beside %v for sagas", r.PgbenchCPU, r.CPU)
	}
	if r.WALBytes < 100 || len(r.Depths) < 2 || r.Statements["orders"] < 0 || r.FsyncMS < 0 {
		t.Errorf("got %+v", r.Load)
	}
}

// What a call costs over HTTP stands beside what it costs over gRPC, with certificates as without.
func TestACallOverHTTPIsHeldAgainstANativeOne(t *testing.T) {
	slow.Long(t, "runs the whole system, and pgbench")
	t.Parallel()
	r := measured(t, Config{Duration: time.Second, Clients: 8, Mode: HTTP, Relays: 1, TLS: true})
	var modes []Mode
	for _, l := range r.Loads {
		modes = append(modes, l.Mode)
		if l.CreatesPerSecond <= 0 || l.LatencyMS.Create == nil {
			t.Errorf("%s: got %.1f creates/s in %+v", l.Name, l.CreatesPerSecond, l.LatencyMS)
		}
	}
	if !slices.Equal(modes, []Mode{Create, HTTP, Create}) || r.Mode != HTTP {
		t.Errorf("got loads %v about %v, want http between two of create", modes, r.Mode)
	}
	if known := len(r.CPU) > 0; known != (r.Calls != nil) {
		t.Errorf("got calls: %v, CPU known: %v", r.Calls, known)
	}
	if c := r.Calls; c != nil {
		for name, call := range map[string]Call{"http": c.HTTP, "native": c.Native} {
			if call.Orderd <= 0 || call.Load <= 0 || call.Whole <= call.Orderd {
				t.Errorf("%s: got %+v, want a part of orderd, and the load apart", name, call)
			}
		}
	}
}

// However a client learns what became of its order, it does, at the rate that is asked for.
func TestEachModeIsMeasured(t *testing.T) {
	slow.Long(t, "runs the whole system once for each mode")
	for _, mode := range Modes {
		t.Run(string(mode), func(t *testing.T) {
			const rate = 20
			r := measured(t, Config{
				Duration: 3 * time.Second, Clients: 8, Mode: mode, Streams: 2, Relays: 1, Rate: rate,
			})
			if r.Unsent > 0 || r.CreatesPerSecond < rate/2 || r.CreatesPerSecond > 2*rate {
				t.Errorf("got %.1f creates/s and %d orders unsent, want about %d, and none", r.CreatesPerSecond,
					r.Unsent, rate)
			}
			if told := r.LatencyMS.Settled != nil; told != mode.learns() {
				t.Errorf("got latencies until settled: %v", told)
			}
		})
	}
}
