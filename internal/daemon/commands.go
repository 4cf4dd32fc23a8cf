package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/rpc"
	"hosho/internal/version"
	"hosho/migrations"
)

type healthcheck struct {
	TLS

	Listen string `type:"listen" default:"${listen}" env:"${env}_LISTEN" help:"The daemon's gRPC address."`
}

const healthcheckTimeout = 3 * time.Second

// Run exits 0 when the daemon serves. Images without a shell use it. It has the daemon's own certificate, and expects
// the daemon to have it, too.
func (c *healthcheck) Run(ctx context.Context, log *slog.Logger) error {
	keeper, err := c.TLS.Open(log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	target, err := rpc.Reachable(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	self := ""
	if keeper != nil {
		self = keeper.ID()
	}
	conn, err := rpc.Dial(target, rpc.As(keeper, self))
	if err != nil {
		return err
	}
	defer conn.Close()
	reply, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	fmt.Println(reply.GetStatus())
	if reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return errors.New("not ready")
	}
	return nil
}

type printVersion struct{}

// Run prints the version of hosho, and that of Go by which it was built.
func (printVersion) Run() error {
	_, err := fmt.Println(version.String(), runtime.Version())
	return err
}

// Migrate is the command of the daemon that owns a database's schema.
type Migrate struct {
	Database
}

// Run applies the migrations that are missing and prints their versions.
func (c *Migrate) Run(ctx context.Context, log *slog.Logger, set migrations.Set) error {
	url, err := c.URL(log)
	if err != nil {
		return err
	}
	waiting := func(err error) { log.Warn("a table is in use: trying again", "error", err) }
	applied, err := set.Up(ctx, url, waiting)
	for _, version := range applied {
		fmt.Printf("applied %s %d\n", set, version)
	}
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		fmt.Printf("%s is up to date\n", set)
	}
	return grantRoles(ctx, set, url)
}

// grantRoles gives roles that were made since the database was migrated what they may do. A server that has none of
// them is one that does without; of some, those that are missing are named.
func grantRoles(ctx context.Context, set migrations.Set, url string) error {
	granted, missing, err := set.Grant(ctx, url)
	if err == nil && len(granted) > 0 && len(missing) > 0 {
		fmt.Printf("roles that are missing: %s (sagactl bootstrap makes them)\n", strings.Join(missing, ", "))
	}
	return err
}
