// Command relay delivers the order service's outbox to the payment service, by calls or over a broker, and applies what
// comes back to the orders.
//
// Its promise: a reply changes an order in the transaction that finishes its outbox row, an error never cancels an
// order but only starts its compensation, and any number of relays may run, die and come back. It needs no orderd to
// be up.
package main

import (
	"context"
	"log/slog"
	"sync"

	"hosho/internal/daemon"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/migrations"
)

var program = daemon.Program{
	Name: "relay", Description: "The relay of hosho: delivers the orders' outbox to the payment service.",
	Listen: "127.0.0.1:50053", AdminListen: "127.0.0.1:9103", Database: migrations.Orders, Help: help(),
}

type commands struct {
	daemon.Commands

	Serve serve `cmd:"" default:"withargs" help:"Deliver the outbox; this is what happens without a command."`
}

func main() { daemon.Main(program, &commands{}) }

type serve struct {
	daemon.Database
	daemon.ListenDatabase
	daemon.Durability
	daemon.Listen
	daemon.Security

	To transport `embed:""`

	Pace pace `embed:""`
}

// Run works until ctx ends: first it stops claiming and serving, then it finishes what is under way, and what runs in
// the background ends last, since settling still sends wake-ups.
func (c *serve) Run(ctx context.Context, log *slog.Logger) error {
	config, err := c.Pace.config()
	if err != nil {
		return err
	}
	url, err := c.URL(log)
	if err != nil {
		return err
	}
	guard := pg.NewGuard(log, c.AllowUnsafeDurability)
	database := pg.Config{URL: url, Application: program.Name, Guard: guard}
	listening, err := c.Listening(log, &c.Database, database)
	if err != nil {
		return err
	}
	pools, err := pg.OpenPools(ctx, database)
	if err != nil {
		return err
	}
	defer pools.Close()
	registry := daemon.NewRegistry()
	observed := daemon.Observe(registry, pools, log)
	secured, err := c.Security.Open(log, registry)
	if err != nil {
		return err
	}
	to, err := c.To.open(secured.Identity, registry, log)
	if err != nil {
		return err
	}
	defer to.close()
	traces, err := trace.Open(program.Name, daemon.Instance(), log, registry)
	if err != nil {
		return err
	}
	defer traces.Close()
	server := newServer(pools, config, c.Pace, to, registry, traces, log)
	server.tellOutbox(observed.Scrape)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { server.run(running, listening, c.Pace.Wake) })
	background.Go(func() { secured.Run(running) })
	background.Go(func() { to.tell(running, log) })

	ctx, end := context.WithCancel(ctx) // an address that cannot be had ends the work, too
	schema := program.Database.Ready(pools.Readiness, orderdb.RelayNeeds(), observed.Schema)
	ready := guard.Ready(pools.Readiness, schema)
	var working sync.WaitGroup
	defer working.Wait()
	defer end()
	working.Go(func() { server.work(ctx, ready) })

	serving := server.config(c.Listen, registry, ready)
	secured.Apply(&serving)
	serving.Doubt = guard.Doubt()
	return rpc.Serve(ctx, serving)
}
