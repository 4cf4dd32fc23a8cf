package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/chaos"
	"hosho/internal/lab/invariant"
	"hosho/internal/terminal"
)

// printChaos prints what a run of chaos did and found.
func printChaos(screen *terminal.Terminal, r chaos.Report) {
	screen.Line("")
	table := screen.Table(tabwriter.AlignRight | tabwriter.DiscardEmptyColumns)
	table.Row("fault\ttimes\tfirst settled, worst\topen orders\tsettled p50\tp99\tworst\t")
	for _, f := range r.Faults {
		table.Row("%s\t%d\t%s\t%d\t%s\t%s\t%s\t", f.Fault, f.Times, millis(f.First.Max), f.Recovery.N,
			millis(f.Recovery.P50), millis(f.Recovery.P99), millis(f.Recovery.Max))
	}
	table.Row("all\t%d\t\t%d\t%s\t%s\t%s\t", r.Injections(), r.Recovery.N,
		millis(r.Recovery.P50), millis(r.Recovery.P99), millis(r.Recovery.Max))
	table.Flush()
	screen.Line("Times are from the end of an episode's last fault until ordinary orders open then were settled.")
	screen.Line("")
	screen.Line("seed %d: %s, %d episodes, %d faults", r.Seed, r.Elapsed.Round(time.Second), r.Episodes, r.Injections())
	screen.Line("orders    %d acknowledged, %d lost; %s", r.Orders, r.Lost, invariant.Line(r.Statuses))
	screen.Line("payments  %s", invariant.Line(r.Payments))
	screen.Line("killed    daemons %d, at failpoints %s; PostgreSQL crashed %d times",
		r.Kills, deaths(r.Deaths), r.Crashes)
	screen.Line("sent      %.3f charges for each ordinary order that was paid", r.Amplification)
	screen.Line("waited    %s at worst, until a customer's order or cancellation was acknowledged", millis(r.Slowest))
	for _, v := range r.Found {
		screen.Line("%s %s: %s", screen.Paint(terminal.Red, "VIOLATION"), v.Rule, v.Detail)
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
	Alerts           []alertResult     `json:"alerts"`
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

// writeJSON writes the result to the file that --json names, or to standard output.
func (c *chaosRun) writeJSON(stdout io.Writer, r chaos.Report) (err error) {
	if c.JSON == "" {
		return nil
	}
	to := stdout
	if c.JSON != "-" {
		file, err := os.Create(c.JSON)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(resultOf(r))
}

func resultOf(r chaos.Report) chaosResult {
	result := chaosResult{
		Seed: r.Seed, DurationMS: r.Elapsed.Milliseconds(),
		Orders: r.Orders, Faults: r.Injections(), Kills: r.Kills, DatabaseCrashes: r.Crashes,
		Violations: len(r.Found), LostAcknowledged: r.Lost, Found: append([]chaos.Violation{}, r.Found...),
		RecoveryMS: inMS(r.Recovery), Amplification: r.Amplification, SlowestMS: r.Slowest.Milliseconds(),
		PerFault: []faultResult{}, Failpoints: map[string]int{}, Statuses: r.Statuses, Payments: r.Payments,
		Alerts: alertsOf(r.Alerts),
	}
	for _, f := range r.Faults {
		result.PerFault = append(result.PerFault,
			faultResult{f.Fault, f.Times, inMS(f.First), f.Recovery.N, inMS(f.Recovery)})
	}
	for p, n := range r.Deaths {
		result.Failpoints[string(p)] = n
	}
	return result
}
