package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/chaos"
	"hosho/internal/lab/mutant"
	"hosho/internal/lab/stack"
	"hosho/internal/terminal"
)

type mutants struct {
	Names []string `arg:"" optional:"" help:"Only these mutants; all of them without."`
	Seed  uint64   `default:"1" help:"Decides the schedules of the faults."`
	List  bool     `help:"List the mutants and exit."`
}

// How long a mutant may live, and how long an order that it does not settle is waited for.
const (
	mutantLife  = 60 * time.Second
	mutantDrain = 15 * time.Second
	// brokerDrain is that where a broker has to notice first that somebody has died with events in his hands.
	brokerDrain = 40 * time.Second
)

// Run breaks each rule of the saga in turn and has chaos find out, and returns errDiffers when a mutant lives, or when
// the source as it is does not.
func (m *mutants) Run(ctx context.Context, screen *terminal.Terminal) (err error) {
	chosen, err := m.chosen()
	if err != nil {
		return err
	}
	if m.List {
		for _, one := range chosen {
			screen.Line("%-25s %s: %s", one.Name, one.Rule, one.Breaks)
		}
		return nil
	}
	folder, err := stack.NewFolder("mutants")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Remove()) }()
	dir := folder.Path()
	screen.Line("mutants: %d, and first the source as it is. Each is built, and may live for %v.",
		len(chosen), mutantLife)
	screen.Line(stack.Building)
	healthy := true
	for i, alike := range grouped(chosen) {
		lives, err := m.healthy(ctx, screen, filepath.Join(dir, fmt.Sprintf("healthy-%d", i)), alike)
		if err != nil {
			return err
		}
		healthy = healthy && lives
	}
	living, err := m.huntAll(ctx, screen, dir, chosen)
	if err != nil {
		return err
	}
	if living > 0 || !healthy {
		screen.Line("\n%s", screen.Paint(terminal.Red,
			fmt.Sprintf("%d of %d mutants live: no experiment proves their rules.", living, len(chosen))))
		return errDiffers
	}
	screen.Line("\n%s", screen.Paint(terminal.Green,
		fmt.Sprintf("%d of %d mutants were killed, and the source as it is lives.", len(chosen), len(chosen))))
	return nil
}

func (m *mutants) chosen() ([]mutant.Mutant, error) {
	if len(m.Names) == 0 {
		return mutant.All, nil
	}
	var chosen []mutant.Mutant
	for _, name := range m.Names {
		i := slices.IndexFunc(mutant.All, func(one mutant.Mutant) bool { return one.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q: --list shows them all", name)
		}
		chosen = append(chosen, mutant.All[i])
	}
	return chosen, nil
}

// grouped parts mutants by what they run on.
func grouped(all []mutant.Mutant) (groups [][]mutant.Mutant) {
	for _, one := range all {
		i := slices.IndexFunc(groups, func(g []mutant.Mutant) bool {
			return g[0].Transport == one.Transport && g[0].Resend == one.Resend
		})
		if i < 0 {
			i, groups = len(groups), append(groups, nil)
		}
		groups[i] = append(groups[i], one)
	}
	return groups
}

// healthy runs all the faults on the source as it is: what kills everything proves nothing.
func (m *mutants) healthy(
	ctx context.Context, screen *terminal.Terminal, dir string, chosen []mutant.Mutant,
) (bool, error) {
	var faults []string
	for _, one := range chosen {
		faults = append(faults, one.Faults...)
	}
	slices.Sort(faults)
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin, "-tags", failpoint.Tag); err != nil {
		return false, err
	}
	as := chosen[0]
	as.Faults, as.Length = slices.Compact(faults), 0
	report, err := m.experiment(ctx, dir, as)
	if err != nil {
		return false, err
	}
	if len(report.Found) == 0 {
		screen.Line("%s  %-25s %-8s  no violation in %d orders, %d faults, %s",
			screen.Paint(terminal.Green, "lives "), "(the source as it is)", as.Transport,
			report.Orders, report.Injections(), report.Elapsed.Round(time.Second))
		return true, nil
	}
	screen.Line("%s  the source as it is: %s", screen.Paint(terminal.Red, "BROKEN"), report.Found[0])
	return false, nil
}

// huntAll returns how many mutants no experiment killed.
func (m *mutants) huntAll(
	ctx context.Context, screen *terminal.Terminal, dir string, chosen []mutant.Mutant,
) (living int, err error) {
	for i, one := range chosen {
		killed, err := m.hunt(ctx, screen, filepath.Join(dir, fmt.Sprint(i)), one)
		if err != nil {
			return living, err
		}
		if !killed {
			living++
		}
	}
	return living, nil
}

// hunt reports whether an experiment killed a mutant, by one of the rules that must notice it.
func (m *mutants) hunt(
	ctx context.Context, screen *terminal.Terminal, dir string, one mutant.Mutant,
) (killed bool, err error) {
	if err := one.Build(ctx, filepath.Join(dir, "bin"), "-tags", failpoint.Tag); err != nil {
		return false, err
	}
	report, err := m.experiment(ctx, dir, one)
	if err != nil {
		return false, fmt.Errorf("%s: %w", one.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, v := range report.Found {
		if slices.Contains(one.Oracle, v.Rule) {
			screen.Line("%s  %-25s %-8s  by %s, with the faults %s, after %s: %s",
				screen.Paint(terminal.Green, "killed"), one.Name, one.Rule,
				v.Rule, strings.Join(one.Faults, ", "), report.Elapsed.Round(time.Second), v.Detail)
			return true, nil
		}
	}
	screen.Line("%s  %-25s %-8s  it needs: %s; want one of %v, got %v",
		screen.Paint(terminal.Red, "LIVES "), one.Name, one.Rule, one.Needs, one.Oracle, report.Found)
	return false, nil
}

// experiment runs the faults of a mutant on what it runs on.
func (m *mutants) experiment(ctx context.Context, dir string, one mutant.Mutant) (chaos.Report, error) {
	pace := chaos.Quick()
	pace.Drain = mutantDrain
	if one.Transport != "" {
		pace.Drain = brokerDrain
	}
	if one.Resend > 0 {
		pace.Resend, pace.ResendCap = one.Resend, one.Resend
	}
	return chaos.Run(ctx, chaos.Config{
		Bin: filepath.Join(dir, "bin"), Dir: filepath.Join(dir, "data"),
		Seed: m.Seed, Duration: mutantLife, Faults: one.Faults, Length: one.Length,
		Relays: 2, Clients: 16, Pace: pace, FailFast: true, Transport: one.Transport, Ordinary: one.Resend > 0,
	})
}
