package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheRatioIsOverTheMeanOfBoth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sagas     float64
		pgbench   []float64
		want      float64
		wantsVoid bool
	}{
		{9000, []float64{10_000}, 0.9, false},
		{9000, []float64{9_000, 11_000}, 0.9, true},
		{10_000, []float64{10_700, 9_300}, 1, false}, // 14 % of the mean
		{10_000, []float64{9_200, 10_800}, 1, true},  // 16 %
		{10_000, []float64{0, 0}, 0, false},
	}
	for _, tt := range tests {
		r := Result{Pgbench: tt.pgbench, Load: Load{SagasPerSecond: tt.sagas}}
		r.relate()
		if r.Ratio != tt.want || r.Void != tt.wantsVoid {
			t.Errorf("%.0f beside %v: got %v, void %v; want %v, %v", tt.sagas, tt.pgbench, r.Ratio, r.Void, tt.want,
				tt.wantsVoid)
		}
	}
}

// The load generator is no part of a call, and a machine that drifts counts by its mean.
func TestACallIsComparedWithThoseBeforeAndAfter(t *testing.T) {
	t.Parallel()
	of := func(total, orderd, load float64) Load {
		return Load{CPUOfCall: map[string]float64{"total": total, "orderd": orderd, "load": load}}
	}
	got := compareCalls(of(350, 180, 50), of(120, 40, 20), of(130, 50, 30))
	want := Calls{HTTP: Call{300, 180, 50}, Native: Call{100, 45, 25}, Ratio: 3, Orderd: 4}
	if got == nil || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	const line = "CPU us of a call: http 300 (orderd 180), native 100 (orderd 45), ratio 3.00 (orderd 4.00); " +
		"the load generator's own, 50 and 25, is apart"
	if told := want.String(); told != line {
		t.Errorf("got %q, want %q", told, line)
	}
	if got := compareCalls(Load{}, Load{}, Load{}); got != nil {
		t.Errorf("got %+v where CPU times are not known, want nothing", got)
	}
}

func TestARateWithAGrowingBacklogIsNoThroughput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		from, to   int64
		unsent     int64
		offered    float64
		wantKeptUp bool
	}{
		{"nothing is left", 0, 0, 0, 0, true},
		{"what the clients have under way", 0, 64, 0, 0, true},
		{"it shrank", 5000, 0, 0, 0, true},
		{"and two of a hundred", 0, 264, 0, 0, true},
		{"it grew", 0, 265, 0, 0, false},
		{"some were due that nobody called", 0, 0, 100, 1000, true},
		{"too many were", 0, 0, 101, 1000, false},
	}
	for _, tt := range tests {
		l := Load{
			Clients: 64, CreatesPerSecond: 1000, Seconds: 10, Offered: tt.offered, Unsent: tt.unsent,
			Depths: []Depth{{0, tt.from}, {10, tt.to}},
		}
		if got := l.keptUp(); got != tt.wantKeptUp {
			t.Errorf("%s: got kept up: %v, want %v", tt.name, got, tt.wantKeptUp)
		}
	}
}

func TestWhatEachSagaCost(t *testing.T) {
	t.Parallel()
	from := reading{
		wal: 1000, statements: map[string]int64{"orders": 10, "payments": 5},
		cpu: map[string]time.Duration{"orderd": time.Second, "relay": 2 * time.Second},
	}
	to := reading{
		wal: 3000, statements: map[string]int64{"orders": 30, "payments": 15},
		cpu: map[string]time.Duration{"orderd": 1010 * time.Millisecond, "relay": 2020 * time.Millisecond},
	}
	var l Load
	l.each(from, to, 10)
	if l.WALBytes != 200 || l.Statements["orders"] != 2 || l.Statements["payments"] != 1 || l.CPU["orderd"] != 1000 ||
		l.CPU["relay"] != 2000 || l.CPU["total"] != 3000 {
		t.Errorf("got %+v", l)
	}
}

func TestReadingPgbench(t *testing.T) {
	t.Parallel()
	got, err := rateIn("latency average = 2.1 ms\ntps = 14711.293846 (without initial connection time)\n")
	if err != nil || got != 14711.293846 {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = rateIn("number of transactions actually processed: 0\nnumber of failed transactions: 0 (NaN%)\n")
	if err != nil || got != 0 {
		t.Errorf("got %v, %v of none", got, err)
	}
	if _, err := rateIn("pgbench: error: connection failed"); err == nil {
		t.Error("got no error for an output without a rate")
	}
}

// The CPU time of this process is found in /proc, whatever its name.
func TestReadingCPUTimes(t *testing.T) {
	t.Parallel()
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; { // a few ticks of work
		_ = fmt.Sprint(began)
	}
	own, err := cpuOf(os.Getpid())
	if os.IsNotExist(err) || err == nil && own <= 0 {
		t.Errorf("got %v, %v; want some", own, err)
	}
}

// A claim's time is that of binding, in which it is planned, and of its execution.
func TestReadingClaimsFromTheLog(t *testing.T) {
	t.Parallel()
	const line = "2026-11-27 03:29:33.123 UTC [17] LOG:  duration: "
	log := strings.Join([]string{
		line + "0.500 ms  parse stmt: SELECT m.payload FROM outbox AS m",
		line + "1.000 ms  bind stmt: ",
		"\tSELECT m.payload",
		"\tFROM outbox AS m",
		line + "2.000 ms  execute stmt: ",
		"\tSELECT m.payload",
		"\tFROM outbox AS m",
		line + "9.000 ms  execute stmt: INSERT INTO outbox (payload) VALUES ($1)",
		line + "9.000 ms  execute stmt: SELECT count(*) FROM outbox",
		line + "4.000 ms  execute stmt: SELECT m.payload FROM outbox AS m",
		"2026-11-27 03:29:34.123 UTC [17] LOG:  checkpoint starting: time",
	}, "\n")
	got, err := claimsIn(strings.NewReader(log))
	if err != nil || got == nil || got.N != 2 || got.Max != 4 || got.P50 < 3 || got.P50 > 3.03 {
		t.Errorf("got %+v, %v; want two, of 3 and 4 ms", got, err)
	}
}

// Scripts read the figures by these names.
func TestTheFiguresHaveTheirNames(t *testing.T) {
	t.Parallel()
	some := map[string]float64{"orders": 1}
	text, err := json.Marshal(Result{Load: Load{CPU: some, Statements: some}})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"sagas_per_second", "creates_per_second", "pgbench_tps", "ratio", "void", "latency_ms", "cpu_us_per_saga",
		"wal_bytes_per_saga", "statements_per_saga", "row_versions_per_saga", "fsync_probe_ms", "backlog_over_time",
		"relay_kept_up", "violations", "postgres", "machine",
	} {
		if _, ok := fields[name]; !ok {
			t.Errorf("got %s\nwant the field %s", text, name)
		}
	}
}
