package stack

import (
	"context"
	"fmt"
	"os/exec"
	"slices"

	"golang.org/x/sync/errgroup"

	"hosho/internal/pgembed"
	"hosho/internal/proc"
)

// OrdersURL is the URL of the orders database.
func (s *Stack) OrdersURL() string { return s.urlOf(OrdersDatabase) }

// PaymentsURL is the URL of the payments database.
func (s *Stack) PaymentsURL() string { return s.urlOf(PaymentsDatabase) }

func (s *Stack) startDatabases(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, database := range []string{OrdersDatabase, PaymentsDatabase} {
		group.Go(func() error {
			made, err := pgembed.Start(ctx, s.serverConfig(database, ""))
			if err != nil {
				return fmt.Errorf("start the PostgreSQL server of %s: %w", database, err)
			}
			primary, _ := s.servers(database)
			*primary = made
			if err := made.CreateDatabase(ctx, database); err != nil {
				return err
			}
			return s.startStandby(ctx, database)
		})
	}
	return group.Wait()
}

// migrate runs the daemons' own migrate commands, as an operator would who owns the schemas.
func (s *Stack) migrate(ctx context.Context) error {
	owners := []string{
		"ORDERD_DATABASE_URL=" + s.As("orders_migrator", s.pooled(OrdersDatabase, s.OrdersURL())),
		"PAYMENTD_DATABASE_URL=" + s.As("payments_migrator", s.pooled(PaymentsDatabase, s.PaymentsURL())),
	}
	for _, p := range []*Process{s.Orderd, s.Paymentd} {
		cmd := exec.CommandContext(ctx, p.binary, "migrate")
		cmd.Env = proc.Environment(slices.Concat(p.Settings, p.env, owners)...)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s migrate: %w\n%s", p.Name, err, output)
		}
	}
	return nil
}
