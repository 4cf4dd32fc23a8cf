// Package daemon is what orderd, paymentd and relay have in common before they do anything of their own: the command
// line, the log, signals, and the commands that every daemon has.
//
// Its promise: flags override environment variables, --help shows both, and a daemon stops on the first SIGINT or
// SIGTERM and dies on the second.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/rpc"
	"hosho/internal/version"
)

// Commands are the commands that every daemon has. Embed it in the daemon's own.
type Commands struct {
	Log struct {
		Level  slog.Level `default:"info" env:"${env}_LOG_LEVEL" help:"debug, info, warn or error."`
		Format string     `default:"auto" enum:"auto,json,text" env:"${env}_LOG_FORMAT" help:"auto is text on a terminal, JSON elsewhere."`
	} `embed:"" prefix:"log-"`

	Healthcheck healthcheck  `cmd:"" help:"Ask the daemon on its address whether it is ready; exit 1 if not."`
	Version     printVersion `cmd:"" help:"Print the version."`
}

func (c *Commands) logger(name string) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Log.Level, ReplaceAttr: spellDurations}
	if c.Log.Format == "text" || c.Log.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(os.Stderr, options)).With("daemon", name)
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options)).With("daemon", name)
}

// spellDurations writes durations as people do, "1.5ms", in JSON too.
func spellDurations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}

// Main parses the command line into commands, a pointer to a struct that embeds Commands, and runs the command chosen:
// its Run method may take a context.Context and a *slog.Logger. listen and adminListen are its default addresses. It exits 0, or 1
// after printing the error, or 80 on a wrong command line (kong's code).
func Main(name, description, listen, adminListen string, commands interface{ common() *Commands }) {
	cli := kong.Parse(commands,
		kong.Name(name), kong.Description(description), kong.ShortUsageOnError(),
		kong.Vars{"env": strings.ToUpper(name), "listen": listen, "admin_listen": adminListen},
	)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal is not caught
	log := commands.common().logger(name)
	cli.BindTo(ctx, (*context.Context)(nil))
	cli.Bind(log)
	if err := cli.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		stop()
		os.Exit(1)
	}
}

func (c *Commands) common() *Commands { return c }

// Database is the flags that name a database.
type Database struct {
	DatabaseURL     string `env:"${env}_DATABASE_URL" xor:"database" help:"The PostgreSQL database, postgres://user@host/name."`
	DatabaseURLFile string `env:"${env}_DATABASE_URL_FILE" xor:"database" type:"existingfile" help:"A file that holds the URL, to keep the password out of the environment."`
}

// URL answers the database's URL, or an error that says how to give one.
func (d Database) URL() (string, error) {
	if d.DatabaseURLFile != "" {
		content, err := os.ReadFile(d.DatabaseURLFile)
		url := strings.TrimSpace(string(content))
		if err == nil && url == "" { // which pgx would take for whatever server is near
			err = fmt.Errorf("--database-url-file: %s is empty", d.DatabaseURLFile)
		}
		return url, err
	}
	if d.DatabaseURL == "" {
		return "", errors.New("no database given: set --database-url or --database-url-file, or their environment variables (see --help)")
	}
	return d.DatabaseURL, nil
}

// Listen is the flags of a daemon's addresses.
type Listen struct {
	Listen      string `default:"${listen}" env:"${env}_LISTEN" help:"The gRPC address."`
	AdminListen string `default:"${admin_listen}" env:"${env}_ADMIN_LISTEN" help:"The address of /metrics and /debug/pprof/; empty for none."`
	Reflection  bool   `default:"true" negatable:"" env:"${env}_REFLECTION" help:"Serve gRPC reflection, for grpcurl."`
}

type healthcheck struct {
	Target string `name:"listen" default:"${listen}" env:"${env}_LISTEN" help:"The daemon's gRPC address."`
}

const healthcheckTimeout = 3 * time.Second

// Run exits 0 when the daemon serves. Images without a shell use it.
func (h *healthcheck) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	conn, err := rpc.Dial(h.Target)
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
