// Command sagactl is a person's way into hosho: it runs the whole system on this machine, shows what it does, and
// proves that nothing was lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"syscall"

	"github.com/alecthomas/kong"

	"hosho/internal/order"
)

type commands struct {
	Demo demo `cmd:"" help:"Place orders that are paid, declined, lost and cancelled, show what happens to each, and prove that both databases agree."`
	Up   up   `cmd:"" help:"Run the whole system until Ctrl-C, and print where it is."`

	Chaos   chaosRun `cmd:"" help:"Break a private system in every way that one machine can, while customers order, and check that nothing is lost. Exits 1 when something is."`
	Mutants mutants  `cmd:"" help:"Break each rule of the saga in the source, and have chaos find out. Exits 1 when one is not found."`

	Explain explain `cmd:"" help:"Tell what happened to an order: every attempt, what is next, its payment and its money, from all services. Exits 1 when one of them could not be asked."`

	Parked parked `cmd:"" help:"List the commands that need a person: their payment keys belong to other payments, or they are stuck."`
	Retry  retry  `cmd:"" help:"Try a parked or stuck command again at once."`
	Settle settle `cmd:"" help:"Cancel by hand an order that the saga can never settle."`

	Reconcile reconciliation `cmd:"" help:"Compare both databases order by order, while the system runs, and say what does not fit and who mends it. Exits 1 when something does not."`
}

// errBroken says that what was to be proven does not hold. What is broken has been printed by then.
var errBroken = errors.New("the proof failed")

// account is the name of the account that runs the command, if it has one.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func main() {
	cli := kong.Parse(&commands{}, kong.Name("sagactl"), kong.ShortUsageOnError(),
		kong.Vars{"stuck_after": order.StuckAfter.String(), "account": account()},
		kong.Description("Runs hosho on this machine, with databases of its own, and shows that it keeps its promise."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal is not caught
	cli.BindTo(ctx, (*context.Context)(nil))
	err := cli.Run()
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errBroken), errors.Is(err, errIncomplete):
		os.Exit(1)
	case interrupted: // whatever else it says is a consequence
		fmt.Fprintln(os.Stderr, "sagactl: interrupted")
		os.Exit(130) // 128 + SIGINT, as shells have it
	default:
		fmt.Fprintln(os.Stderr, "sagactl:", err)
		os.Exit(1)
	}
}
