package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/chaos"
	"hosho/internal/lab/invariant"
)

// printChaos prints what a run of chaos did and found.
func printChaos(screen *terminal, r chaos.Report) {
	screen.line("")
	table := tabwriter.NewWriter(screen.out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)
	fmt.Fprintln(table, "fault\ttimes\tfirst settled, worst\topen orders\tsettled p50\tp99\tworst\t")
	for _, f := range r.Faults {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%s\t%s\t%s\t\n", f.Fault, f.Times, millis(f.First.Max), f.Recovery.N,
			millis(f.Recovery.P50), millis(f.Recovery.P99), millis(f.Recovery.Max))
	}
	fmt.Fprintf(table, "all\t%d\t\t%d\t%s\t%s\t%s\t\n", r.Injections(), r.Recovery.N, millis(r.Recovery.P50), millis(r.Recovery.P99), millis(r.Recovery.Max))
	_ = table.Flush() // to the terminal, like everything here
	screen.line("Times are from the end of an episode's last fault until ordinary orders that were open then were settled.")
	screen.line("")
	screen.line("seed %d: %s, %d episodes, %d faults", r.Seed, r.Elapsed.Round(time.Second), r.Episodes, r.Injections())
	screen.line("orders    %d acknowledged, %d lost; %s", r.Orders, r.Lost, invariant.Line(r.Statuses))
	screen.line("payments  %s", invariant.Line(r.Payments))
	screen.line("killed    daemons %d, at failpoints %s; PostgreSQL crashed %d times", r.Kills, deaths(r.Deaths), r.Crashes)
	screen.line("sent      %.3f charges for each ordinary order that was paid", r.Amplification)
	screen.line("waited    %s at worst, until a customer's order or cancellation was acknowledged", millis(r.Slowest))
	for _, v := range r.Found {
		screen.line("%s %s: %s", screen.paint(red, "VIOLATION"), v.Rule, v.Detail)
	}
}

func deaths(at map[failpoint.Point]int) string {
	counts := map[string]int64{}
	total := int64(0)
	for p, n := range at {
		counts[string(p)] = int64(n)
		total += int64(n)
	}
	return fmt.Sprintf("%d (%s)", total, invariant.Line(counts))
}

func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

// chaosResult is the JSON of a run. Durations are in milliseconds.
type chaosResult struct {
	Seed             uint64            `json:"seed"`
	DurationMS       int64             `json:"duration_ms"`
	Orders           int64             `json:"orders"`
	Faults           int               `json:"faults"`
	Kills            int64             `json:"kills"`
	DatabaseCrashes  int64             `json:"database_crashes"`
	Violations       int               `json:"violations"`
	LostAcknowledged int               `json:"lost_acknowledged"`
	RecoveryMS       spreadMS          `json:"recovery_ms"`
	Amplification    float64           `json:"amplification"`
	SlowestMS        int64             `json:"slowest_acknowledgement_ms"`
	Found            []chaos.Violation `json:"found"`
	PerFault         []faultResult     `json:"per_fault"`
	Failpoints       map[string]int    `json:"failpoints"`
	Statuses         map[string]int64  `json:"order_statuses"`
	Payments         map[string]int64  `json:"payment_statuses"`
}

type spreadMS struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type faultResult struct {
	Fault         string   `json:"fault"`
	Times         int      `json:"times"`
	FirstSettleMS spreadMS `json:"first_settle_ms"`
	OpenOrders    int      `json:"open_orders"`
	RecoveryMS    spreadMS `json:"recovery_ms"`
}

func inMS(s chaos.Spread) spreadMS {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return spreadMS{ms(s.P50), ms(s.P99), ms(s.Max)}
}

func (c *chaosRun) writeJSON(r chaos.Report) (err error) {
	if c.JSON == "" {
		return nil
	}
	result := chaosResult{
		Seed: r.Seed, DurationMS: r.Elapsed.Milliseconds(), Orders: r.Orders, Faults: r.Injections(), Kills: r.Kills,
		DatabaseCrashes: r.Crashes, Violations: len(r.Found), LostAcknowledged: r.Lost, RecoveryMS: inMS(r.Recovery),
		Amplification: r.Amplification, SlowestMS: r.Slowest.Milliseconds(), Found: append([]chaos.Violation{}, r.Found...), PerFault: []faultResult{}, Failpoints: map[string]int{}, Statuses: r.Statuses, Payments: r.Payments,
	}
	for _, f := range r.Faults {
		result.PerFault = append(result.PerFault, faultResult{f.Fault, f.Times, inMS(f.First), f.Recovery.N, inMS(f.Recovery)})
	}
	for p, n := range r.Deaths {
		result.Failpoints[string(p)] = n
	}
	file := os.Stdout
	if c.JSON != "-" {
		if file, err = os.Create(c.JSON); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	encoder := json.NewEncoder(file)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}
