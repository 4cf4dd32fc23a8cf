package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"hosho/internal/chaos"
	"hosho/internal/failpoint"
	"hosho/internal/invariant"
	"hosho/internal/stack"
)

type chaosRun struct {
	Seed     uint64        `help:"Decides the schedule of the faults. 0 takes one by chance, and prints it." placeholder:"N"`
	Duration time.Duration `default:"60s" help:"How long new faults begin. What is open then is healed and drained."`
	Faults   []string      `help:"Only these faults, separated by commas; --list shows them all." placeholder:"LIST"`
	Length   time.Duration `help:"How long each fault lasts, instead of what the seed says."`
	Relays   int           `default:"2" help:"How many relays run."`
	Clients  int           `default:"32" help:"How many customers order at a time."`
	Quick    bool          `help:"Short timeouts, leases and backoffs, so that a short run sees many of them end. Without it the daemons' defaults."`
	JSON     string        `name:"json" help:"Write the result to a file; - is standard output, and everything else goes to standard error." placeholder:"FILE"`
	List     bool          `help:"List the faults and exit."`
	Schedule bool          `help:"Print the schedule that the seed makes and exit."`
	Keep     bool          `help:"Keep logs and databases even if nothing was found."`
}

// Validate is called by kong.
func (c *chaosRun) Validate() error {
	switch {
	case c.Duration <= 0:
		return fmt.Errorf("--duration: got %s, want more than 0", c.Duration)
	case c.Length < 0:
		return fmt.Errorf("--length: got %s, want 0 or more", c.Length)
	case c.Relays < 1:
		return fmt.Errorf("--relays: got %d, want at least 1", c.Relays)
	case c.Clients < 1:
		return fmt.Errorf("--clients: got %d, want at least 1", c.Clients)
	}
	return nil
}

// config is what does not depend on where it runs.
func (c *chaosRun) config() chaos.Config {
	pace := chaos.Production()
	if c.Quick {
		pace = chaos.Quick()
	}
	return chaos.Config{
		Seed: c.Seed, Duration: c.Duration, Faults: c.Faults, Length: c.Length, Relays: c.Relays, Clients: c.Clients, Pace: pace,
	}
}

// Run breaks a private system for a while, prints what happened, and answers errBroken when anything was lost.
func (c *chaosRun) Run(ctx context.Context) error {
	for c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000)
	}
	out := os.Stdout
	if c.JSON == "-" {
		out = os.Stderr
	}
	screen := newTerminal(out)
	switch {
	case c.List:
		return listFaults(screen)
	case c.Schedule:
		return c.printSchedule(screen)
	}
	dir, err := os.MkdirTemp("", "hosho-chaos-")
	if err != nil {
		return err
	}
	report, err := c.run(ctx, dir, screen)
	if err != nil {
		screen.line("logs and databases are kept in %s", dir)
		return err
	}
	printChaos(screen, report)
	if err := c.writeJSON(report); err != nil {
		return err
	}
	if len(report.Found) > 0 {
		screen.line("\n%s", screen.paint(red, fmt.Sprintf("%d violations. Logs and databases are kept in %s", len(report.Found), dir)))
		screen.line("The same schedule again: %s", c.again())
		return errBroken
	}
	screen.line("\n%s", screen.paint(green, "Nothing was lost: every order is settled, and both databases agree about all of them."))
	if c.Keep {
		screen.line("logs and databases are kept in %s", dir)
		return nil
	}
	return os.RemoveAll(dir)
}

func (c *chaosRun) run(ctx context.Context, dir string, screen *terminal) (chaos.Report, error) {
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		return chaos.Report{}, err
	}
	screen.line("%s", screen.paint(bold, fmt.Sprintf("chaos: seed %d, %s, %d relays, %d clients", c.Seed, c.Duration, c.Relays, c.Clients)))
	screen.line("building orderd, paymentd and relay with failpoints, starting two PostgreSQL servers")
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin, "-tags", failpoint.Tag); err != nil {
		return chaos.Report{}, err
	}
	progress := &chaosProgress{terminal: screen, live: screen.color && term.IsTerminal(int(screen.out.(*os.File).Fd()))}
	config := c.config()
	config.Bin, config.Dir, config.Tell, config.Tick = bin, filepath.Join(dir, "data"), progress.tell, progress.tick
	report, err := chaos.Run(ctx, config)
	progress.clear()
	return report, err
}

// again is the command that makes the same schedule.
func (c *chaosRun) again() string {
	command := fmt.Sprintf("sagactl chaos --seed %d --duration %s --relays %d --clients %d", c.Seed, c.Duration, c.Relays, c.Clients)
	if len(c.Faults) > 0 {
		command += " --faults " + strings.Join(c.Faults, ",")
	}
	if c.Length > 0 {
		command += " --length " + c.Length.String()
	}
	if c.Quick {
		command += " --quick"
	}
	return command
}

func listFaults(screen *terminal) error {
	table := tabwriter.NewWriter(screen.out, 0, 0, 2, ' ', 0)
	for _, f := range chaos.Faults() {
		says := f.Says
		if f.Special != "" {
			says += " (not in the mix: " + f.Special + ")"
		}
		fmt.Fprintf(table, "%s\t%s\n", f.Name, says)
	}
	return table.Flush()
}

func (c *chaosRun) printSchedule(screen *terminal) error {
	episodes, err := chaos.Schedule(c.config())
	if err != nil {
		return err
	}
	screen.line("seed %d", c.Seed)
	for i, e := range episodes {
		screen.line("%3d  %s", i+1, e)
	}
	return nil
}

// chaosProgress prints what happens, and on a terminal below it a line that says how it goes.
type chaosProgress struct {
	*terminal
	live  bool
	shown bool
}

func (p *chaosProgress) tell(text string) {
	p.clear()
	style := plain
	switch {
	case strings.Contains(text, "s  + "):
		style = yellow
	case strings.Contains(text, "recovered:"):
		style = dim
	}
	p.line("%s", p.paint(style, text))
}

func (p *chaosProgress) tick(s chaos.Status) {
	if !p.live {
		return
	}
	p.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = true
	fmt.Fprintf(p.out, "%s  %-6s %d orders, %d kills, %d database crashes, %d violations  %s", s.Elapsed.Round(time.Second), s.Phase,
		s.Orders, s.Kills, s.Crashes, s.Violations, strings.Join(s.Active, " "))
}

func (p *chaosProgress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

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
		Amplification: r.Amplification, Found: r.Found, Failpoints: map[string]int{}, Statuses: r.Statuses, Payments: r.Payments,
	}
	for _, f := range r.Faults {
		result.PerFault = append(result.PerFault, faultResult{f.Fault, f.Times, inMS(f.First), inMS(f.Recovery)})
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
