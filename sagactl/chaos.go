package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"hosho/internal/failpoint"
	"hosho/internal/lab/chaos"
	"hosho/internal/lab/stack"
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
	_, err := chaos.Schedule(c.config()) // knows the faults
	return err
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
	if _, err := stack.SourceRoot(ctx); err != nil { // before there is anything to keep
		return err
	}
	dir, err := os.MkdirTemp("", "hosho-chaos-")
	if err != nil {
		return err
	}
	report, err := c.run(ctx, dir, screen)
	if ctx.Err() != nil { // somebody has seen enough
		return errors.Join(err, os.RemoveAll(dir))
	}
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
