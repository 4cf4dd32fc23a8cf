package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"hosho/internal/daemon"
	"hosho/internal/reconcile"
	"hosho/internal/rpc"
)

// service is the flags of a reconciliation that goes on.
type service struct {
	Every     time.Duration `placeholder:"PAUSE" help:"Go on with this pause, 5m for example, and log what is new."`
	FullEvery time.Duration `default:"24h" help:"Compare everything so often; in between what may have changed."`
	Listen    string        `placeholder:"ADDRESS" help:"Where to serve /livez, /readyz and /metrics, in plain HTTP."`

	Log daemon.Log `embed:"" prefix:"log-"`
}

// check refuses what means nothing together.
func (s *service) check(repair, asJSON bool) error {
	switch {
	case s.Every < 0:
		return fmt.Errorf("--every: got %s, want more than 0", s.Every)
	case s.Every == 0 && s.Listen != "":
		return errors.New("--listen without --every: what runs once serves nothing: add --every 5m")
	case s.Every == 0:
		return nil
	case repair:
		return errors.New("--repair with --every: what goes on by itself repairs nothing: look at the findings, and " +
			"run it once with --repair and without --every")
	case asJSON:
		return errors.New("--json with --every: findings are lines of the log: say --log-format json")
	case s.FullEvery < s.Every:
		return fmt.Errorf("--full-every: got %s, want --every, %s, or more", s.FullEvery, s.Every)
	case s.Listen == "":
		return nil
	}
	if err := rpc.CheckListen(s.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return nil
}

// patience is how long the server works at a statement of a pass. Each reads a window of rows.
const patience = time.Minute

// run goes on until ctx ends. An error is one of the start, or of the address: a database that is away is waited for.
func (s *service) run(ctx context.Context, orders, payments *pgxpool.Pool, stuckAfter time.Duration) error {
	log, flush := s.Log.Open("reconcile")
	defer flush()
	var listener net.Listener
	address := ""
	if s.Listen != "" {
		var err error
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", s.Listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		address = listener.Addr().String()
	}
	registry := daemon.NewRegistry()
	monitor := reconcile.NewMonitor(orders, payments, reconcile.MonitorConfig{
		StuckAfter: stuckAfter, Every: s.Every, FullEvery: s.FullEvery, Log: log, Registry: registry,
	})
	log.InfoContext(ctx, "serving", "admin", address, "every", s.Every, "full_every", s.FullEvery)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return rpc.ServeAdmin(ctx, listener, registry, monitor.Ready) })
	group.Go(func() error { monitor.Run(ctx); return nil })
	return group.Wait()
}

type healthcheck struct {
	Address string `arg:"" default:"127.0.0.1:9104" help:"The address that its --listen says (${default})."`
}

const healthcheckTimeout = 3 * time.Second

// Run asks whether the last comparison could be made, or whether a console is there. Images without a shell use it.
func (h *healthcheck) Run(ctx context.Context) error {
	target, err := rpc.Reachable(h.Address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/readyz", nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<10))
	if err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return finding(strings.TrimSpace(string(text)))
	}
	return nil
}
