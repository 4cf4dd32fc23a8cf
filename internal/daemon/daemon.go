// Package daemon is what orderd, paymentd and relay have in common before they do anything of their own: the command
// line, the log, signals, and the commands that every daemon has.
//
// Its promise: flags override environment variables, --help shows both, what can never work is refused at the start,
// and a daemon stops on the first SIGINT or SIGTERM and dies on the second. A SIGHUP has one with a certificate look at
// its files.
package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"hosho/migrations"
)

// Program is what tells one daemon from the others.
type Program struct {
	Name        string
	Description string
	Listen      string            // its gRPC address, unless somebody says otherwise
	AdminListen string            // the address of its metrics and profiles, likewise
	Database    migrations.Set    // what it works on
	Help        map[string]string // the texts for which a flag's tag has no room, by the variable that stands there
}

// Options returns what kong is to know of the program. There is no usage before an error: the first line says what is
// wrong.
func (p Program) Options() []kong.Option {
	return slices.Concat(addresses(), bounds(),
		[]kong.Option{kong.NamedMapper("given", kong.MapperFunc(given))},
		[]kong.Option{kong.Name(p.Name), kong.Description(p.Description), p.vars()})
}

// vars returns what the tags of flags ask for, those of this package and the daemon's own.
func (p Program) vars() kong.Vars {
	own, shared := strings.ToUpper(p.Name), strings.ToUpper(string(p.Database))
	vars := kong.Vars{
		"env": own, "listen": p.Listen, "admin": p.AdminListen, "database": shared,
		"log_format_help": LogFormatHelp,
		"admin_help": "The address of /livez, /readyz and /metrics, and of /debug/pprof/ on loopback; empty for " +
			"none. It is plain HTTP.",
		"database_url_help": fmt.Sprintf(
			"The PostgreSQL database, postgres://user@host/name ($%s_DATABASE_URL, $%s_DATABASE_URL).", own, shared),
		"allow_unsafe_durability": "Serve on a server that may lose acknowledged commits, for example since its " +
			"fsync is off. For experiments.",
		"database_url_file_help": fmt.Sprintf("A file that holds the URL, to keep the password out of the environment "+
			"($%s_DATABASE_URL_FILE, $%s_DATABASE_URL_FILE).", own, shared),
	}
	vars["tls_cert_help"] = "The daemon's certificate (PEM), with those between it and an authority. With it, every " +
		"connection is mutual TLS. It and the files below are looked at every ten seconds."
	vars["tls_key_help"] = "The key of the certificate (PEM)."
	vars["tls_ca_help"] = "The authorities that are trusted (PEM); while they change, the old ones and the new."
	vars["allow_help"] = "Which identity may call what, and for which customers. What it does not allow is refused."
	vars["insecure_help"] = "Listen off loopback without a certificate: whoever reaches the daemon may call every " +
		"method."
	vars["insecure_database_help"] = "Take a database off loopback without sslmode=verify-full: whoever is between " +
		"reads along."
	vars["listen_url_help"] = "Where to LISTEN, when --database-url leads through a pooler in transaction mode: the " +
		"server itself ($" + listenVariable(own) + ")."
	vars["listen_url_file_help"] = "A file that holds that URL ($" + listenVariable(own) + "_FILE)."
	maps.Copy(vars, p.Help)
	return vars
}

// Commands are the commands that every daemon has. Embed it in the daemon's own.
type Commands struct {
	Log Log `embed:"" prefix:"log-"`

	Healthcheck healthcheck  `cmd:"" help:"Ask the daemon on its address whether it is ready; exit 1 if not."`
	Version     printVersion `cmd:"" help:"Print the version."`
}

// level is how loud the log is.
type level slog.Level

// UnmarshalText is called by kong. It takes what slog takes, INFO and warn+2 among it.
func (l *level) UnmarshalText(text []byte) error {
	if (*slog.Level)(l).UnmarshalText(text) != nil {
		return fmt.Errorf("got %q, want debug, info, warn or error", text)
	}
	return nil
}

// Main parses the command line into commands, a pointer to a struct that embeds Commands, and runs the command chosen:
// its Run method may take a context.Context, a *slog.Logger and the program's migrations.Set. It exits 0, or 1 after
// printing the error, or 80 on a wrong command line (kong's code).
func Main(p Program, commands interface{ common() *Commands }) {
	tuneProfile()
	tuneCollector(os.Getenv) // until the process ends
	cli := kong.Parse(commands, p.Options()...)
	if err := p.run(cli, commands.common()); err != nil {
		os.Exit(1)
	}
}

// run runs the command chosen, and returns when its log and its error are written.
func (p Program) run(cli *kong.Context, c *Commands) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)   // the second signal is not caught
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more ends nobody
	cli.BindTo(ctx, (*context.Context)(nil))
	log, stderr := c.Log.open(p.Name)
	defer stderr.flush() // in a panic, too
	cli.Bind(log, p.Database)
	if c := cli.Command(); c != "healthcheck" && c != "version" { // which somebody asks again and again
		p.warnOfUnknown(log, cli.Model.Node, os.Environ())
	}
	err := cli.Run()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", p.Name, err) // which it always takes
	}
	return err
}

func (c *Commands) common() *Commands { return c }

// Listen is the flags of a daemon's addresses.
type Listen struct {
	Listen string `type:"listen" default:"${listen}" env:"${env}_LISTEN" help:"The gRPC address."`

	AdminListen string `type:"listen" empty:"none" default:"${admin}" env:"${env}_ADMIN_LISTEN" help:"${admin_help}"`

	Reflection bool `default:"true" negatable:"" env:"${env}_REFLECTION" help:"Serve gRPC reflection, for grpcurl."`
}
