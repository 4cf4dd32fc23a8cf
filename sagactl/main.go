// Command sagactl is a person's way into hosho: it runs the whole system on this machine, shows what it does, and
// proves that nothing was lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"

	"hosho/internal/broker/connect"
	"hosho/internal/daemon"
	"hosho/internal/lab/stack"
	"hosho/internal/order"
	"hosho/internal/plain"
	"hosho/internal/proc"
	"hosho/internal/terminal"
)

type commands struct {
	Certificate certificate `embed:""`

	Demo demoRun `cmd:"" group:"try" help:"Watch orders be paid, declined, lost and refunded, and the proof."`
	Up   up      `cmd:"" group:"try" help:"Run the whole system until Ctrl-C, and print where it is."`

	Order   orderVerbs `cmd:"" group:"orders" help:"Place an order, look at it, cancel it."`
	Orders  orders     `cmd:"" group:"orders" help:"List orders, the newest first."`
	Watch   watch      `cmd:"" group:"orders" help:"Follow an order until it is settled, or all of them."`
	Explain explain    `cmd:"" group:"orders" help:"Tell what happened to an order, and what is next."`

	Status  systemStatus `cmd:"" group:"operate" help:"Is every daemon ready, what waits, does anything need a person?"`
	Console showConsole  `cmd:"" group:"operate" help:"See it live, in a browser."`
	Parked  parked       `cmd:"" group:"operate" help:"List the commands that need a person."`
	Retry   retry        `cmd:"" group:"operate" help:"Try a parked or stuck command again at once."`
	Settle  settle       `cmd:"" group:"operate" help:"Cancel by hand an order that the saga can never settle."`

	AcceptPayments acceptPayments `cmd:"" group:"operate" help:"Have the orders trust another payments database."`
	AcceptOrders   acceptOrders   `cmd:"" group:"operate" help:"Have the payments trust another orders database."`

	Broker brokerVerbs `cmd:"" group:"operate" help:"Make the topics of the saga on a broker, or look at them."`

	Reconcile reconciliation `cmd:"" group:"operate" help:"Compare both databases, and say who mends what."`
	Health    healthcheck    `cmd:"" name:"healthcheck" group:"operate" help:"Is reconcile --every or a console well?"`
	Bootstrap bootstrap      `cmd:"" group:"operate" help:"Make the database roles, and a file with each one's URL."`
	Certs     certs          `cmd:"" group:"operate" help:"Make certificates for development, and who may what."`
	Version   printVersion   `cmd:"" group:"operate" help:"Print the version."`

	Chaos   chaosRun `cmd:"" group:"experiment" help:"Break a private system in every way, and see nothing lost."`
	Bench   benchRun `cmd:"" group:"experiment" help:"Measure how many sagas a second, how fast, and what each costs."`
	Mutants mutants  `cmd:"" group:"experiment" help:"Break each rule of the saga in the source: chaos finds out."`
}

const description = `Runs hosho on this machine, places and follows orders, and operates a running system.

Exit codes: 0 agrees; 1 differs: something does not hold, was not found, or needs a person; 2 could not look, or bad
usage; 130 interrupted.`

var groups = kong.Groups{"try": "Try it", "orders": "Orders", "operate": "Operate", "experiment": "Experiment"}

// finding is an error that says what is not as it must be, or as it was taken to be. An empty one has been printed.
type finding string

func (f finding) Error() string { return string(f) }

// errDiffers says that something is not as it must be. What it is has been printed by then.
const errDiffers = finding("")

// errUnread says that whoever read what is written has gone.
var errUnread = errors.New("nobody reads it any more")

// The exit codes. A shell's own, when a signal ended what it ran, is 128 and the signal.
const (
	exitDiffers     = 1
	exitFailed      = 2
	exitInterrupted = 128 + int(syscall.SIGINT)
)

func main() {
	// Where nobody reads on, a write fails like any other, and does not end the process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, unread := proc.WithGoRun(context.Background())
	screen := terminal.New(os.Stdout, func(error) { unread() }) // what nobody can read need not be found out
	var left atomic.Bool
	go func(ctx context.Context) {
		if screen.AwaitLeaving(ctx) {
			left.Store(true)
			unread()
		}
	}(ctx)
	ctx = untilHangup(ctx)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal is not caught
	err := run(ctx, screen, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	unwritten := screen.Err()
	if unwritten == nil && err != nil && left.Load() { // it ended before it wrote more
		unwritten = errUnread
	}
	os.Exit(exitCode(os.Stderr, err, unwritten, interrupted))
}

// untilHangup returns a context that ends when the terminal is closed, unless nohup says that the program lives on. The
// shell says it once more, so that the second one is caught as well.
func untilHangup(ctx context.Context) context.Context {
	if !signal.Ignored(syscall.SIGHUP) {
		ctx, _ = signal.NotifyContext(ctx, syscall.SIGHUP)
	}
	return ctx
}

// run does what the arguments say. A usage error ends the process, and so does --help.
func run(ctx context.Context, screen *terminal.Terminal, args []string) error {
	usage := kong.ShortUsageOnError()
	if len(args) == 0 { // somebody has not met it yet
		usage = kong.UsageOnError()
	}
	parser, err := newParser(&commands{}, usage, kong.Writers(screen, os.Stderr), kong.Exit(func(code int) {
		if code != 0 || screen.Err() != nil {
			code = exitFailed
		}
		os.Exit(code)
	}))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		parser.Stdout = parser.Stderr // the usage is no output that was asked for
		parser.FatalIfErrorf(negative(args, err))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(screen)
	return command.Run()
}

// newParser makes what reads the command line into commands.
func newParser(c *commands, options ...kong.Option) (*kong.Kong, error) {
	vars := kong.Vars{
		"stuck_after": order.StuckAfter.String(), "account": account(),
		"env": "SAGACTL", "log_format_help": daemon.LogFormatHelp,
		"bench_modes": benchModes(), "bench_scenarios": benchScenarios(),
		"console_address": consoleAddress, "transports": strings.Join(stack.Transports(), ","),
	}
	maps.Copy(vars, connect.Help())
	return kong.New(c, append([]kong.Option{
		kong.Name("sagactl"), kong.Description(description), groups,
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		vars,
	}, options...)...)
}

// negative returns an error that says what a usage error is about, if it is about a number that looks like a flag.
func negative(args []string, err error) error {
	for _, arg := range args {
		if n, err2 := strconv.ParseFloat(arg, 64); err2 == nil && n < 0 {
			return usageError{"got " + arg + ", and nothing here takes a negative number", err}
		}
	}
	return err
}

// usageError is a usage error of kong in other words.
type usageError struct {
	text string
	err  error
}

func (e usageError) Error() string { return e.text }
func (e usageError) Unwrap() error { return e.err }

// exitCode says what went wrong, if anything did, and returns what a script is to know of it.
func exitCode(to io.Writer, err, unwritten error, interrupted bool) int {
	say := func(what ...any) {
		_, _ = io.WriteString(to, plain.Lines(fmt.Sprintln(append([]any{"sagactl:"}, what...)...)))
	}
	switch {
	case unwritten != nil: // whatever else there is is a consequence, or could not be told
		say("standard output:", unwritten)
		return exitFailed
	case err == nil:
		return 0
	case errors.Is(err, errDiffers):
		return exitDiffers
	case differs(err):
		say(err)
		return exitDiffers
	case interrupted: // whatever else it says is a consequence
		say("interrupted")
		return exitInterrupted
	}
	say(err)
	return exitFailed
}

// account is the name of the account that runs the command, if it has one, with _ for what an audit does not take.
func account() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return audited(u.Username)
}

// unaudited is what an operator's name may not have.
var unaudited = regexp.MustCompile(`[^A-Za-z0-9._:@-]`)

func audited(name string) string {
	const most = 64 // characters
	name = unaudited.ReplaceAllString(name, "_")
	return name[:min(len(name), most)]
}
