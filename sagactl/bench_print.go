package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hosho/internal/lab/bench"
	"hosho/internal/terminal"
)

// printBench prints what was measured.
func printBench(screen *terminal.Terminal, r bench.Result) {
	screen.Line("%d cores, GOMAXPROCS=%d, %s, %s, PostgreSQL %s, fdatasync of 8 KiB %.2f ms",
		r.Machine.Cores, r.Machine.Threads, r.Machine.System,
		r.Machine.Go, r.Postgres["server_version"], r.FsyncMS)
	screen.Line("%s", settingsOf(r.Postgres))
	if r.Idle != nil {
		printIdle(screen, *r.Idle)
	} else {
		printLoad(screen, r)
	}
	for _, s := range r.Shares {
		screen.Line("%s", s)
	}
	if d := r.Drained; d != nil {
		screen.Line("%d orders drained in %.1f s: %.0f sagas/s; claims in ms: %s", d.Orders, d.Seconds,
			d.SagasPerSecond, spread(d.ClaimMS))
	}
	if r.Interrupted {
		screen.Line("%s", screen.Paint(terminal.Yellow, "interrupted: this is what was measured until then, unchecked"))
		return
	}
	for _, text := range r.Broken {
		screen.Line("%s %s", screen.Paint(terminal.Red, "VIOLATION"), text)
	}
	if len(r.Broken) == 0 {
		screen.Line("%s", screen.Paint(terminal.Green,
			fmt.Sprintf("all invariants hold over %d orders", r.Orders)))
	}
}

func settingsOf(settings map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name != "server_version" {
			all = append(all, name+"="+settings[name])
		}
	}
	return strings.Join(all, " ")
}

func printLoad(screen *terminal.Terminal, r bench.Result) {
	screen.Line("")
	table := screen.Table(0)
	table.Row("load\tsagas/s\tcreates/s\tcreated ms p50 / p90 / p99 / max\tsettled ms" +
		"\tCPU us\tWAL B\tstatements\tkept up")
	loads := r.Loads
	if len(loads) == 0 || r.Name == "load" { // the first of a sweep is not among them
		loads = append([]bench.Load{r.Load}, loads...)
	}
	for _, l := range loads {
		table.Row("%s\t%.0f\t%.0f\t%s\t%s\t%.0f\t%.0f\t%.1f\t%v", l.Name, l.SagasPerSecond, l.CreatesPerSecond,
			spread(l.LatencyMS.Create), spread(l.LatencyMS.Settled), l.CPU["total"], l.WALBytes, sum(l.Statements),
			l.KeptUp)
	}
	table.Flush()
	screen.Line("")
	if len(r.CPU) > 0 {
		screen.Line("CPU us a saga: %s", amounts(r.CPU, "%.0f"))
	}
	if r.Calls != nil {
		screen.Line("%s", r.Calls)
	}
	if r.Console != nil {
		screen.Line("%s", r.Console)
	}
	screen.Line("statements a saga: %s; row versions a saga: %s", amounts(r.Statements, "%.2f"),
		amounts(r.RowVersions, "%.2f"))
	if r.Messages > 0 {
		screen.Line("events a saga that the broker has confirmed: %.2f", r.Messages)
	}
	if len(r.Repeats) > 0 {
		screen.Line("tried again: %s", repeats(r.Repeats))
	}
	if !r.KeptUp {
		screen.Line("%s", screen.Paint(terminal.Yellow, fmt.Sprintf(
			"the backlog grew, or orders were due that nobody had time for (%d): this is no throughput", r.Unsent)))
	}
	screen.Line("drained in %.2f s after the last order", r.Load.Drained)
	each := ""
	if len(r.PgbenchCPU) > 0 {
		each = fmt.Sprintf("; CPU us of one: %s", rates(r.PgbenchCPU))
	}
	screen.Line("pgbench, bare two-row inserts: %s a second%s; ratio %s", rates(r.Pgbench), each,
		screen.Paint(terminal.Bold, fmt.Sprintf("%.3f", r.Ratio)))
}

func printIdle(screen *terminal.Terminal, idle bench.Idle) {
	screen.Line("")
	table := screen.Table(0)
	for _, a := range idle.Asked {
		table.Row("%s\t%.3f/s\t%.100s", a.Database, a.PerSecond, a.Statement)
	}
	table.Flush()
	screen.Line("idle for %.0f s, statements a second: %s; to look for work: %s", idle.Seconds,
		amounts(idle.PerSecond, "%.2f"), amounts(idle.Looking, "%.2f"))
}

func spread(s *bench.Spread) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f / %.1f", s.P50, s.P90, s.P99, s.Max)
}

func sum(of map[string]float64) (total float64) {
	for _, v := range of {
		total += v
	}
	return total
}

// amounts are figures by their names.
func amounts(of map[string]float64, format string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s "+format, name, of[name]))
	}
	if len(all) == 0 {
		return "not known"
	}
	return strings.Join(all, ", ")
}

func repeats(of map[string]int64) string {
	var all []string
	for _, reason := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d times", reason, of[reason]))
	}
	return strings.Join(all, ", ")
}

func rates(of []float64) string {
	var all []string
	for _, rate := range of {
		all = append(all, fmt.Sprintf("%.0f", rate))
	}
	if len(all) == 0 {
		return "not run"
	}
	return strings.Join(all, " before and ") + map[bool]string{true: " after"}[len(all) > 1]
}
