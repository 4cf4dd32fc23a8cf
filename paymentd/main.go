// Command paymentd is the payment service: it decides charges and voids, each under a key that its caller chose.
//
// Its promise: one key is one payment, for ever. A known key is answered what is stored, before any rule of today is
// looked at, so that a caller may ask again as often as it likes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/migrations"
)

type commands struct {
	daemon.Commands

	Serve   serve   `cmd:"" default:"withargs" help:"Serve payments; this is what happens without a command."`
	Migrate migrate `cmd:"" help:"Bring the database's schema up to date."`
}

func main() {
	daemon.Main("paymentd", "The payment service of hosho.", "127.0.0.1:50052", "127.0.0.1:9102", &commands{})
}

type serve struct {
	daemon.Database
	daemon.Listen

	Simulate simulation `env:"${env}_SIMULATE" placeholder:"AMOUNT:EFFECT,..." help:"Let the card network fail for some amounts: internal, reply-lost, hang or decline."`
}

// Run serves until ctx ends.
func (c *serve) Run(ctx context.Context, log *slog.Logger) error {
	url, err := c.URL()
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, pg.Config{URL: url, Application: application})
	if err != nil {
		return err
	}
	defer pool.Close()
	server := newServer(paymentdb.New(pool), c.Simulate, log)
	return rpc.Serve(ctx, server.config(c.Listen, daemon.NewRegistry(), ready(pool)))
}

// ready keeps calls out until the schema is the one that this program was written for. Serving never migrates.
func ready(pool *pgxpool.Pool) func(context.Context) error {
	return func(ctx context.Context) error {
		err := migrations.Payments.Check(ctx, pool)
		if errors.Is(err, migrations.ErrSchema) {
			return fmt.Errorf("%w: run `paymentd migrate`", err)
		}
		return err
	}
}

type migrate struct {
	daemon.Database
}

// Run applies the migrations that are missing and prints their versions.
func (c *migrate) Run(ctx context.Context, log *slog.Logger) error {
	url, err := c.URL()
	if err != nil {
		return err
	}
	applied, err := migrations.Payments.Up(ctx, url, func(err error) { log.Warn("a table is in use: trying again", "error", err) })
	for _, version := range applied {
		fmt.Printf("applied %s %d\n", migrations.Payments, version)
	}
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		fmt.Printf("%s is up to date\n", migrations.Payments)
	}
	return nil
}
