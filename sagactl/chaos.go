package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/alerts"
	"hosho/internal/lab/chaos"
	"hosho/internal/lab/stack"
	"hosho/internal/proc"
	"hosho/internal/terminal"
)

type chaosRun struct {
	transportFlag

	Seed     uint64        `help:"Decides the schedule; 0: one by chance, which is printed." placeholder:"N"`
	Duration time.Duration `default:"60s" help:"How long new faults begin. What is open then is healed and drained."`
	Faults   []string      `help:"Only these faults, of those that --list shows; none: no fault." placeholder:"LIST"`
	Length   time.Duration `help:"How long each fault lasts, instead of what the seed says."`
	Relays   int           `default:"2" help:"How many relays run."`
	Clients  int           `default:"32" help:"How many customers order at a time."`
	Quick    bool          `help:"Short timeouts, leases and backoffs instead of the daemons' defaults."`
	JSON     string        `name:"json" help:"Write the result to a file; -: to standard output." placeholder:"FILE"`
	TLS      bool          `name:"tls" help:"Give everybody a certificate, and hold each call against a policy."`
	List     bool          `help:"List the faults and exit."`
	Schedule bool          `help:"Print the schedule that the seed makes and exit."`
	Keep     bool          `help:"Keep logs and databases even if nothing was found."`

	Watching watching `embed:""`
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
	if err := c.Watching.Validate(); err != nil {
		return err
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
		Seed: c.Seed, Duration: c.Duration, Faults: c.Faults, Length: c.Length,
		Relays: c.Relays, Clients: c.Clients, Pace: pace, TLS: c.TLS, Transport: c.Transport,
		AlertScale: c.Watching.scale(),
	}
}

// Run breaks a private system for a while, prints what happened, and returns errDiffers when anything was
// lost.
func (c *chaosRun) Run(ctx context.Context, screen *terminal.Terminal) error {
	for c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000)
	}
	result := io.Writer(screen)
	if c.JSON == "-" {
		screen = terminal.New(os.Stderr, nil)
	}
	switch {
	case c.List:
		listFaults(screen)
		return nil
	case c.Schedule:
		return c.printSchedule(screen)
	}
	if _, err := stack.SourceRoot(); err != nil { // before there is anything to keep
		return err
	}
	folder, err := stack.NewFolder("chaos")
	if err != nil {
		return err
	}
	report, err := c.run(ctx, folder.Path(), screen)
	if ctx.Err() != nil { // somebody has seen enough
		return errors.Join(err, folder.Remove())
	}
	if err != nil {
		screen.Line("logs and databases are kept in %s", folder.Path())
		return errors.Join(err, folder.Keep())
	}
	printChaos(screen, report)
	c.Watching.print(screen, report.Alerts)
	return errors.Join(c.writeJSON(result, report), c.conclude(screen, folder, report))
}

// conclude says what came of it all, and keeps logs and databases where they are of use.
func (c *chaosRun) conclude(screen *terminal.Terminal, folder *proc.Folder, report chaos.Report) error {
	if len(report.Found) > 0 {
		screen.Line("\n%s", screen.Paint(terminal.Red,
			fmt.Sprintf("%d violations. Logs and databases are kept in %s", len(report.Found), folder.Path())))
		screen.Line("The same schedule again: %s", c.again())
		return errors.Join(folder.Keep(), errDiffers)
	}
	if err := c.Watching.unexpected(report.Alerts); err != nil {
		screen.Line("\n%s", screen.Paint(terminal.Red, err.Error()))
		screen.Line("Logs and databases are kept in %s", folder.Path())
		screen.Line("The same schedule again: %s", c.again())
		return errors.Join(folder.Keep(), errDiffers)
	}
	screen.Line("\n%s", screen.Paint(terminal.Green,
		"Nothing was lost: every order is settled, and both databases agree about all of them."))
	if c.Keep {
		screen.Line("logs and databases are kept in %s", folder.Path())
		return folder.Keep()
	}
	return folder.Remove()
}

func (c *chaosRun) run(ctx context.Context, dir string, screen *terminal.Terminal) (chaos.Report, error) {
	screen.Line("%s", screen.Paint(terminal.Bold,
		fmt.Sprintf("chaos: seed %d, %s, %d relays, %d clients", c.Seed, c.Duration, c.Relays, c.Clients)))
	screen.Line(stack.Building)
	bin := filepath.Join(dir, "bin")
	if err := c.build(ctx, bin); err != nil {
		return chaos.Report{}, err
	}
	screen.Line("starting two PostgreSQL servers and the daemons")
	config := c.config()
	config.Bin, config.Dir = bin, filepath.Join(dir, "data")
	config.Tell = func(text string) { tell(screen, text) }
	config.Tick = func(s chaos.Status) { tick(screen, s) }
	report, err := chaos.Run(ctx, config)
	screen.Clear()
	return report, err
}

// build builds what is to run.
func (c *chaosRun) build(ctx context.Context, bin string) error {
	if c.Watching.Alerts {
		return alerts.Build(ctx, bin, c.Watching.AlertsScale, "-tags", failpoint.Tag)
	}
	return stack.Build(ctx, bin, "-tags", failpoint.Tag)
}

// again is the command that makes the same schedule.
func (c *chaosRun) again() string {
	command := fmt.Sprintf("sagactl chaos --seed %d --duration %s --relays %d --clients %d",
		c.Seed, c.Duration, c.Relays, c.Clients)
	if len(c.Faults) > 0 {
		command += " --faults " + strings.Join(c.Faults, ",")
	}
	if c.Length > 0 {
		command += " --length " + c.Length.String()
	}
	if c.Quick {
		command += " --quick"
	}
	if c.TLS {
		command += " --tls"
	}
	if c.Transport != "" && c.Transport != stack.Calls {
		command += " --transport " + c.Transport
	}
	return command + c.Watching.again()
}

func listFaults(screen *terminal.Terminal) {
	table := screen.Table(0)
	for _, f := range chaos.Faults() {
		says := f.Says
		if f.Special != "" {
			says += " (not in the mix: " + f.Special + ")"
		}
		table.Row("%s\t%s", f.Name, says)
	}
	table.Flush()
}

func (c *chaosRun) printSchedule(screen *terminal.Terminal) error {
	episodes, err := chaos.Schedule(c.config())
	if err != nil {
		return err
	}
	screen.Line("seed %d", c.Seed)
	for i, e := range episodes {
		screen.Line("%3d  %s", i+1, e)
	}
	return nil
}

// tell prints what happens.
func tell(screen *terminal.Terminal, text string) {
	style := terminal.Plain
	switch {
	case strings.Contains(text, "s  + "):
		style = terminal.Yellow
	case strings.Contains(text, "recovered:"):
		style = terminal.Dim
	}
	screen.Line("%s", screen.Paint(style, text))
}

// tick shows below all else how it goes.
func tick(screen *terminal.Terminal, s chaos.Status) {
	screen.Footer("%s  %-6s %d orders, %d kills, %d database crashes, %d violations  %s",
		s.Elapsed.Round(time.Second), s.Phase, s.Orders, s.Kills, s.Crashes, s.Violations, strings.Join(s.Active, " "))
}
