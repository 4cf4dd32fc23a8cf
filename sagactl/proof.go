package main

import (
	"context"
	"strings"
	"time"

	"hosho/internal/lab/invariant"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/rules"
)

// The relay's defaults, which the demo and up leave as they are.
const (
	maxAttempts = 5
	longestWait = 70 * time.Second // the longest backoff, of a void, and the lease
)

// prove reads both databases, prints what is in them and which rules hold, and answers errBroken when one does not.
func prove(ctx context.Context, screen *terminal, system *stack.Stack, asPlanned bool) error {
	orders, err := pg.Open(ctx, pg.Config{URL: system.OrdersURL(), Application: "sagactl"})
	if err != nil {
		return err
	}
	defer orders.Close()
	payments, err := pg.Open(ctx, pg.Config{URL: system.PaymentsURL(), Application: "sagactl"})
	if err != nil {
		return err
	}
	defer payments.Close()
	report, err := invariant.Check(ctx, orders, payments, invariant.Options{
		Quiet: true, Simulated: true, MaxAttempts: maxAttempts, LongestWait: longestWait,
	})
	if err != nil {
		return err
	}
	screen.line("\n%s", screen.paint(bold, "The proof, read from both databases"))
	screen.line("  orders    %s", invariant.Line(report.Orders))
	screen.line("  payments  %s", invariant.Line(report.Payments))
	screen.line("  outbox    %d left", report.Outbox)
	screen.line("  money     held: %s, owed for completed orders: %s", invariant.Line(report.Held), invariant.Line(report.Owed))
	printRules(screen, report.Violations)
	if len(report.Violations) > 0 || !asPlanned {
		screen.line("\n%s", screen.paint(red, "The two databases do not agree, or an order ended otherwise than it must."))
		return errBroken
	}
	screen.line("\n%s", screen.paint(green, "The two databases agree about every order, and nothing is left over."))
	return nil
}

// printRules prints each rule, and below it what breaks it.
func printRules(screen *terminal, violations []invariant.Violation) {
	for _, rule := range rules.CheckedBy(rules.Databases) {
		var broken []string
		for _, v := range violations {
			if v.Rule == rule.ID {
				broken = append(broken, v.What+": "+v.ID+" ("+v.Detail+")")
			}
		}
		if len(broken) == 0 {
			screen.line("  %s %-3s  %s", screen.paint(green, "holds "), rule.ID, rule.Says)
			continue
		}
		screen.line("  %s %-3s  %s", screen.paint(red, "BROKEN"), rule.ID, rule.Says)
		screen.line("              %s", strings.Join(broken, "\n              "))
	}
}
