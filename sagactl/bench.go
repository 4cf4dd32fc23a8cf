package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hosho/internal/lab/bench"
	"hosho/internal/lab/stack"
	"hosho/internal/terminal"
)

type benchRun struct {
	transportFlag

	Duration time.Duration `help:"How long each load is measured; 0: 20s, idle 1m, hour 1h." placeholder:"TIME"`
	Clients  int           `default:"1024" help:"How many clients order at a time."`
	Mode     string        `default:"stream" help:"How clients order, and learn the end: ${bench_modes}."`
	Streams  int           `default:"8" help:"How many streams the clients share, with --mode stream."`
	Relays   int           `default:"1" help:"How many relays run."`
	Rate     float64       `help:"Orders a second, answered or not; 0: each client, when it is done." placeholder:"N"`
	Scenario string        `help:"What happens meanwhile: ${bench_scenarios}." placeholder:"NAME"`
	Rows     int           `default:"10000000" help:"How many settled orders --scenario rows writes."`
	Backlog  int           `default:"1000000" help:"How many orders --scenario backlog writes."`
	Watchers int           `default:"10000" help:"How many watch in --scenario watchers."`
	TLS      bool          `name:"tls" help:"Certificates for everybody, and a policy."`
	Traces   float64       `help:"Trace so much of the orders, 0.01; a collector throws it away." placeholder:"RATIO"`
	JSON     string        `name:"json" help:"Write the figures to a file; -: to standard output." placeholder:"FILE"`
	SVG      string        `name:"svg" help:"Measure fewer clients and lower rates, too: plots." placeholder:"FILE"`
}

const (
	mostClients    = 100_000
	mostOffered    = 1_000_000 // orders a second
	mostWatchers   = 20_000    // that orderd takes
	mostStreams    = 64        // likewise
	longestPgbench = 5 * time.Second
)

// Validate is called by kong.
func (b *benchRun) Validate() error {
	if !slices.Contains(bench.Modes, bench.Mode(b.Mode)) {
		return fmt.Errorf("--mode: got %q, want %s", b.Mode, benchModes())
	}
	if _, err := bench.DurationOf(b.Scenario); err != nil {
		return fmt.Errorf("--scenario: %w", err)
	}
	if b.Duration < 0 {
		return fmt.Errorf("--duration: got %s, want 0 or more", b.Duration)
	}
	if !(b.Rate >= 0 && b.Rate <= mostOffered) {
		return fmt.Errorf("--rate: got %v, want 0 to %d", b.Rate, mostOffered)
	}
	if !(b.Traces >= 0 && b.Traces <= 1) {
		return fmt.Errorf("--traces: got %v, want 0 to 1", b.Traces)
	}
	for _, number := range []struct {
		flag             string
		got, least, most int
	}{
		{"clients", b.Clients, 1, mostClients},
		{"streams", b.Streams, 1, mostStreams},
		{"relays", b.Relays, 1, 64},
		{"rows", b.Rows, 1, 1_000_000_000},
		{"backlog", b.Backlog, 1, 100_000_000},
		{"watchers", b.Watchers, 1, mostWatchers},
	} {
		if number.got < number.least || number.got > number.most {
			return fmt.Errorf("--%s: got %d, want %d to %d", number.flag, number.got, number.least, number.most)
		}
	}
	if b.Scenario == "console" && b.TLS {
		return errors.New("--tls: got --scenario console, which measures one without certificates")
	}
	if b.SVG != "" && b.Scenario != "" {
		return errors.New("--svg: got a scenario, want none: the plots are of throughput and latency alone")
	}
	return errors.Join(writable("json", b.JSON), writable("svg", b.SVG))
}

// writable complains of a file that cannot be written, before anything is measured for it.
func writable(flag, file string) error {
	if file == "" || file == "-" {
		return nil
	}
	if in, err := os.Stat(filepath.Dir(file)); err != nil || !in.IsDir() {
		return fmt.Errorf("--%s: got %q, want a file in a folder that is there", flag, file)
	}
	if in, err := os.Stat(file); err == nil && in.IsDir() {
		return fmt.Errorf("--%s: got the folder %q, want a file", flag, file)
	}
	return nil
}

func benchModes() string {
	var names []string
	for _, m := range bench.Modes {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

func benchScenarios() string {
	var names []string
	for _, s := range bench.Scenarios {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// Run measures a private system and prints the figures. It returns errDiffers when one of the invariants does not hold,
// or the figures count for nothing.
func (b *benchRun) Run(ctx context.Context, screen *terminal.Terminal) error {
	if _, err := stack.SourceRoot(); err != nil { // before there is anything to keep
		return err
	}
	folder, err := stack.NewFolder("bench")
	if err != nil {
		return err
	}
	progress := terminal.New(os.Stderr, nil)
	result, err := b.measure(ctx, folder.Path(), progress)
	progress.Clear()
	if err != nil && ctx.Err() == nil {
		progress.Line("logs and databases are kept in %s", folder.Path())
		return errors.Join(err, folder.Keep())
	}
	if result.Postgres != nil { // it had begun
		if b.JSON != "-" {
			printBench(screen, result)
		}
		err = errors.Join(err, b.write(screen, &result))
	}
	if len(result.Broken) > 0 {
		progress.Line("logs and databases are kept in %s", folder.Path())
		return errors.Join(err, folder.Keep(), errDiffers)
	}
	if err = errors.Join(err, folder.Remove()); err == nil && result.Void {
		return finding("the figures are void: pgbench before and after differ by more than 15 %")
	}
	return err
}

func (b *benchRun) measure(ctx context.Context, dir string, progress *terminal.Terminal) (bench.Result, error) {
	duration := b.Duration
	if duration == 0 {
		var err error
		if duration, err = bench.DurationOf(b.Scenario); err != nil {
			return bench.Result{}, err
		}
	}
	progress.Line(stack.Building)
	bin := filepath.Join(dir, "bin")
	if err := errors.Join(stack.Build(ctx, bin), copyProgram(filepath.Join(bin, "sagactl"))); err != nil {
		return bench.Result{}, err
	}
	return bench.Run(ctx, bench.Config{
		TLS: b.TLS, Traces: b.Traces, Transport: b.Transport,
		Bin: bin, Dir: filepath.Join(dir, "data"), Scenario: b.Scenario, Duration: duration,
		Pgbench: min(duration, longestPgbench),
		Clients: b.Clients, Mode: bench.Mode(b.Mode), Streams: b.Streams,
		Relays: b.Relays, Rate: b.Rate, Sweep: b.SVG != "",
		Rows: b.Rows, Backlog: b.Backlog, Watchers: b.Watchers,
		Tell: func(text string) { progress.Line("%s", progress.Paint(terminal.Dim, text)) },
		Tick: func(text string) { progress.Footer("%s", text) },
	})
}

// write writes the files that were asked for.
func (b *benchRun) write(stdout io.Writer, r *bench.Result) error {
	var err error
	if b.SVG != "" {
		err = writeFile(b.SVG, stdout, r.WritePlots)
	}
	if b.JSON == "" {
		return err
	}
	return errors.Join(err, writeFile(b.JSON, stdout, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}))
}

// writeFile writes to a file, or to standard output where its name is -.
func writeFile(name string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if name == "-" {
		return write(stdout)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
