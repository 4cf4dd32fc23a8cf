// Command orderd is the order service: it accepts orders, tells what became of them, and takes cancellations.
//
// Its promise: an order that it acknowledged is in the database together with the command that will have it paid, and
// a repeated request makes no second one. It never calls the payment service: that is the relay's work, and it goes on
// while orderd is down.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"hosho/internal/daemon"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/migrations"
	"hosho/orderd/internal/door"
)

var program = daemon.Program{
	Name: "orderd", Description: "The order service of hosho.",
	Listen: "127.0.0.1:50051", AdminListen: "127.0.0.1:9101", Database: migrations.Orders,
	Help: map[string]string{
		"deadline": "An order that is still PENDING after this long is given up.",
		"http_help": "The address of the JSON door, orders over HTTP/1.1; empty for none. Without a certificate it " +
			"is for this machine alone.",
		"wake": "Keep a connection that LISTENs for changes of orders. Without it watchers are told a second late.",
	},
}

type commands struct {
	daemon.Commands

	Serve   serve          `cmd:"" default:"withargs" help:"Serve orders; this is what happens without a command."`
	Migrate daemon.Migrate `cmd:"" help:"Bring the database's schema up to date."`
}

func main() { daemon.Main(program, &commands{}) }

type serve struct {
	daemon.Database
	daemon.ListenDatabase
	daemon.Durability
	daemon.Listen
	daemon.Security

	HTTPListen string `name:"http-listen" type:"listen" empty:"none" env:"${env}_HTTP_LISTEN" help:"${http_help}"`

	OrderDeadline time.Duration `default:"15m" min:"100ms" max:"720h" env:"${env}_ORDER_DEADLINE" help:"${deadline}"`

	Wake bool `default:"true" env:"${env}_WAKE" help:"${wake}" negatable:""`
}

// Run serves until ctx ends. What the server does in the background ends after the last call has, which may still have
// a wake-up to send.
func (c *serve) Run(ctx context.Context, log *slog.Logger) error {
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
	traces, err := trace.Open(program.Name, daemon.Instance(), log, registry)
	if err != nil {
		return err
	}
	defer traces.Close()
	server := newServer(pools, c.OrderDeadline, registry, log)
	server.traces = traces
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { server.run(running, listening, c.Wake) })
	background.Go(func() { secured.Run(running) })

	schema := program.Database.Ready(pools.Readiness, orderdb.OrderdNeeds(), observed.Schema)
	ready := guard.Ready(pools.Readiness, schema)
	config := server.config(c.Listen, registry, ready)
	config.HTTP = c.door(secured.Identity != nil, registry)
	secured.Apply(&config)
	config.Doubt = guard.Doubt()
	return rpc.Serve(ctx, config)
}

// door is the JSON door, where there is one.
func (c *serve) door(certified bool, registry prometheus.Registerer) rpc.HTTP {
	config := door.Config{MaxBody: maxReceive, Registry: registry}
	if !certified {
		config.Hosts = append(config.Hosts, door.Loopback...)
		host, _, err := net.SplitHostPort(c.HTTPListen)
		if err == nil && !slices.Contains(config.Hosts, host) {
			config.Hosts = append(config.Hosts, host)
		}
	}
	return rpc.HTTP{Listen: c.HTTPListen, Handler: func(inner grpc.ClientConnInterface) (http.Handler, error) {
		return door.New(config, inner)
	}}
}
