// Command paymentd is the payment service: it decides charges and voids, each under a key that its caller chose.
//
// Its promise: one key is one payment, for ever. A known key is answered what is stored, before any rule of today is
// looked at, so that a caller may ask again as often as it likes.
package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/broker/connect"
	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/migrations"
)

var program = daemon.Program{
	Name: "paymentd", Description: "The payment service of hosho.",
	Listen: "127.0.0.1:50052", AdminListen: "127.0.0.1:9102", Database: migrations.Payments,
	Help: help(),
}

// help returns the texts of all flags of paymentd.
func help() map[string]string {
	all := connect.Help()
	all["simulate"] = "Let the card network fail for some amounts: internal, reply-lost, hang or decline."
	all["card_timeout"] = "How long the card network may take to answer; 0, for experiments: as long as the caller."
	return all
}

type commands struct {
	daemon.Commands

	Serve   serve          `cmd:"" default:"withargs" help:"Serve payments; this is what happens without a command."`
	Migrate daemon.Migrate `cmd:"" help:"Bring the database's schema up to date."`
}

func main() { daemon.Main(program, &commands{}) }

type serve struct {
	daemon.Database
	daemon.Durability
	daemon.Listen
	daemon.Security

	CardTimeout time.Duration `default:"1.5s" min:"0s" max:"10m" env:"${env}_CARD_TIMEOUT" help:"${card_timeout}"`

	Broker connect.Flags `embed:""`

	Simulate simulation `env:"${env}_SIMULATE" placeholder:"AMOUNT:EFFECT,..." help:"${simulate}"`
}

// Run serves until ctx ends.
func (c *serve) Run(ctx context.Context, log *slog.Logger) error {
	url, err := c.URL(log)
	if err != nil {
		return err
	}
	guard := pg.NewGuard(log, c.AllowUnsafeDurability)
	pools, err := pg.OpenPools(ctx, pg.Config{URL: url, Application: program.Name, Guard: guard})
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
	server := newServer(pools, c.Simulate, c.CardTimeout, registry, log)
	defer server.refusals.Stop()
	defer server.repeats.Stop()
	if server.traces, err = trace.Open(program.Name, daemon.Instance(), log, registry); err != nil {
		return err
	}
	defer server.traces.Close()
	consumer, err := c.consumer(server, registry)
	if err != nil {
		return err
	}
	defer consumer.close()
	var background sync.WaitGroup
	defer background.Wait()
	running, stop := context.WithCancel(ctx)
	defer stop()
	background.Go(func() { secured.Run(running) })
	background.Go(func() { consumer.run(running) })
	background.Go(func() { consumer.tell(running) })

	schema := program.Database.Ready(pools.Readiness, paymentdb.Needs(), observed.Schema)
	ready := guard.Ready(pools.Readiness, schema)
	config := server.config(c.Listen, registry, ready)
	secured.Apply(&config)
	config.Doubt = guard.Doubt()
	return rpc.Serve(ctx, config)
}

// consumer returns what takes events from the broker that is named; nil: none is.
func (c *serve) consumer(s *server, registry prometheus.Registerer) (*consumer, error) {
	if !c.Broker.Given() {
		s.log.Info("takes no events: no broker is given") // it may have been forgotten
		return nil, nil
	}
	b, err := c.Broker.Open(program.Name, s.log, registry)
	if err != nil {
		return nil, err
	}
	return newConsumer(s, b, c.Broker.BrokerPrefix, registry), nil
}
