package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/daemon"
	"hosho/internal/pg"
	"hosho/internal/reconcile"
	"hosho/internal/terminal"
)

type reconciliation struct {
	databases

	StuckAfter time.Duration `default:"${stuck_after}" help:"For how long an order under way may make no progress."`
	Repair     bool          `help:"Put the commands of orders that stand still back to work; nothing else changes."`
	JSON       bool          `help:"Print a JSON object for each finding, and a summary."`

	service
}

// Help is called by kong.
func (*reconciliation) Help() string {
	return "An order under way makes no progress after its deadline, while nobody knows whether its money is held, " +
		"and after its payment was decided. A terminal shows the first findings of a class, a pipe gets all. With " +
		"--every it is a service for a pager: it never ends by itself, and SIGTERM ends it with 0."
}

// Validate is called by kong.
func (r *reconciliation) Validate() error {
	if r.StuckAfter <= 0 {
		return fmt.Errorf("--stuck-after: got %s, want more than 0", r.StuckAfter)
	}
	if err := r.service.check(r.Repair, r.JSON); err != nil {
		return err
	}
	return r.databases.Validate()
}

// Run compares the two databases, prints what does not fit, and returns errDiffers when something does not. What Repair
// put to work counts, too: run it again to see what is left. With --every it goes on.
func (r *reconciliation) Run(ctx context.Context, screen *terminal.Terminal) error {
	config := pg.Config{Application: "sagactl reconcile"}
	if r.Every > 0 {
		config.MaxConns, config.StatementTimeout = 2, patience
	}
	orders, payments, err := r.databases.open(ctx, config)
	if err != nil {
		return err
	}
	defer orders.Close()
	defer payments.Close()
	if r.Every > 0 {
		if exposed(pg.CheckPrivate(r.OrdersURL)) || exposed(pg.CheckPrivate(r.PaymentsURL)) {
			daemon.DatabaseIsInsecure()
		}
		return r.service.run(ctx, orders, payments, r.StuckAfter)
	}
	return r.once(ctx, screen, orders, payments)
}

// once compares, and prints what it finds.
func (r *reconciliation) once(
	ctx context.Context, screen *terminal.Terminal, orders, payments *pgxpool.Pool,
) error {
	out := &reconcilePrinter{
		Terminal: screen, progress: terminal.New(os.Stderr, nil), json: r.JSON, began: time.Now(),
		shown: map[reconcile.Class]int64{},
	}
	summary, err := reconcile.Run(ctx, orders, payments, reconcile.Options{
		StuckAfter: r.StuckAfter, Repair: r.Repair, Found: out.found, Progress: out.sofar,
	})
	out.progress.Clear()
	if err != nil {
		return rightDatabase(err)
	}
	if err := out.end(summary, r.Repair); err != nil {
		return err
	}
	if !summary.Clean {
		return errDiffers
	}
	return nil
}

// rightDatabase asks whether it is the right one, when a database answers that it has no such table.
func rightDatabase(err error) error {
	const undefinedTable = "42P01"
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == undefinedTable {
		return fmt.Errorf("%w: is each URL that of its database, and has that been migrated?", err)
	}
	return err
}

// reconcilePrinter prints findings as they come, so that nothing is held back.
type reconcilePrinter struct {
	*terminal.Terminal
	progress *terminal.Terminal // standard error
	json     bool
	shown    map[reconcile.Class]int64 // findings
	began    time.Time
	last     time.Time // when progress was shown
}

const (
	progressInterval = time.Second
	shownOnTerminal  = 20 // findings of a class: what scrolls by nobody reads
)

// sofar shows progress when the run takes longer than a moment.
func (p *reconcilePrinter) sofar(s *reconcile.Summary) {
	if time.Since(p.began) < progressInterval || time.Since(p.last) < progressInterval {
		return
	}
	p.last = time.Now()
	p.progress.Footer("%d orders, %d payments", s.Orders, s.Payments)
}

func (p *reconcilePrinter) found(f reconcile.Finding) error {
	p.progress.Clear()
	if p.json {
		return p.object(f)
	}
	if p.Live() && p.shown[f.Class] == shownOnTerminal {
		return nil
	}
	if len(p.shown) == 0 {
		p.Line("%s", p.Paint(terminal.Bold, fmt.Sprintf("%-21s  %-36s  %s", "CLASS", "ORDER", "FOUND")))
	}
	p.shown[f.Class]++
	style := terminal.Red
	if !f.Class.Fails() {
		style = terminal.Yellow
	}
	p.Line("%s  %s  %s", p.Paint(style, fmt.Sprintf("%-21s", f.Class)), f.OrderID, f.Found)
	if f.Repair != "" {
		p.Line("%-21s  repair: %s", "", f.Repair)
	}
	if f.Todo != "" {
		p.Line("%-21s  %s", "", f.Todo)
	}
	return nil
}

func (p *reconcilePrinter) object(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		p.Line("%s", text)
	}
	return err
}

// end prints what the classes that were found mean, and the sums.
func (p *reconcilePrinter) end(s reconcile.Summary, repaired bool) error {
	if p.json {
		return p.object(map[string]any{"summary": s})
	}
	failures := int64(0)
	for _, class := range reconcile.Classes {
		n := s.Findings[class.Class]
		if n == 0 {
			continue
		}
		if class.Fails() {
			failures += n
		}
		more := ""
		if hidden := n - p.shown[class.Class]; hidden > 0 {
			more = fmt.Sprintf(", %d more than are shown: --json, or a pipe, has them all", hidden)
		}
		p.Line("\n%s: %d%s", p.Paint(terminal.Bold, string(class.Class)), n, more)
		p.Line("  %s\n  %s", class.Means, class.Do)
	}
	if len(p.shown) > 0 {
		p.Line("")
	}
	p.Line("compared %d orders, %d of them under way, with %d payments in %s",
		s.Orders, s.UnderWay, s.Payments, time.Since(p.began).Round(time.Millisecond))
	if repaired {
		p.Line("repair: commands put back %d, made due %d", s.PutBack, s.MadeDue)
	}
	if failures > 0 {
		p.Line("%s", p.Paint(terminal.Red,
			fmt.Sprintf("The two databases do not agree, or an order stands still. Findings: %d", failures)))
		return nil
	}
	p.Line("%s", p.Paint(terminal.Green, "The two databases agree."))
	return nil
}
