package demo

import (
	"context"
	"time"

	"hosho/internal/lab/invariant"
	"hosho/internal/lab/stack"
	"hosho/internal/money"
	"hosho/internal/pg"
	"hosho/internal/rules"
	"hosho/internal/terminal"
)

// The relay's defaults, which the demo and up leave as they are.
const (
	maxAttempts = 5
	longestWait = 70 * time.Second // the longest backoff, of a void, and the lease
)

// prove reads both databases, and prints what is in them and which rules hold. It reports whether all do, and every
// order ended as planned.
func prove(ctx context.Context, screen *terminal.Terminal, system *stack.Stack, asPlanned bool) (bool, error) {
	orders, err := pg.Open(ctx, pg.Config{URL: system.OrdersURL(), Application: "sagactl"})
	if err != nil {
		return false, err
	}
	defer orders.Close()
	payments, err := pg.Open(ctx, pg.Config{URL: system.PaymentsURL(), Application: "sagactl"})
	if err != nil {
		return false, err
	}
	defer payments.Close()
	report, err := invariant.Check(ctx, orders, payments, invariant.Options{
		Quiet: true, Simulated: true, MaxAttempts: maxAttempts, LongestWait: longestWait,
	})
	if err != nil {
		return false, err
	}
	screen.Line("\n%s", screen.Paint(terminal.Bold, "The proof, read from both databases"))
	screen.Line("  orders    %s", invariant.Line(report.Orders))
	screen.Line("  payments  %s", invariant.Line(report.Payments))
	screen.Line("  outbox    %d left", report.Outbox)
	screen.Line("  money     held: %s, owed for completed orders: %s",
		money.Sums(report.Held), money.Sums(report.Owed))
	printRules(screen, report.Violations)
	if len(report.Violations) > 0 || !asPlanned {
		screen.Line("\n%s", screen.Paint(terminal.Red,
			"The two databases do not agree, or an order ended otherwise than it must."))
		return false, nil
	}
	screen.Line("\n%s", screen.Paint(terminal.Green,
		"The two databases agree about every order, and nothing is left over."))
	return true, nil
}

// printRules prints each rule, and below it what breaks it.
func printRules(screen *terminal.Terminal, violations []invariant.Violation) {
	for _, rule := range rules.CheckedBy(rules.Databases) {
		var broken []string
		for _, v := range violations {
			if v.Rule == rule.ID {
				broken = append(broken, v.What+": "+v.ID+" ("+v.Detail+")")
			}
		}
		if len(broken) == 0 {
			screen.Line("  %s %-3s  %s", screen.Paint(terminal.Green, "holds "), rule.ID, rule.Says)
			continue
		}
		screen.Line("  %s %-3s  %s", screen.Paint(terminal.Red, "BROKEN"), rule.ID, rule.Says)
		for _, what := range broken {
			screen.Line("              %s", what)
		}
	}
}
