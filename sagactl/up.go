package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hosho/internal/lab/stack"
	"hosho/internal/lab/stage"
	"hosho/internal/terminal"
)

type up struct {
	FreePorts bool `help:"Use free ports instead of the daemons' default addresses."`

	TLS bool `name:"tls" help:"Give everybody a certificate, and hold each call against a policy."`

	transportFlag
}

// Run keeps a system running until ctx ends. What a script wants goes to standard output, progress to standard error.
func (u *up) Run(ctx context.Context, screen *terminal.Terminal) (err error) {
	err = u.run(ctx, screen)
	if errors.Is(err, stack.ErrPortTaken) {
		return fmt.Errorf("%w: stop what uses it, or use --free-ports", err)
	}
	return err
}

func (u *up) run(ctx context.Context, screen *terminal.Terminal) (err error) {
	listener, err := u.listenConsole()
	if err != nil {
		return err
	}
	defer listener.Close() // unless the console has it, which closes it itself
	folder, err := stack.NewFolder("up")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Remove()) }()
	progress := func(step string) { fmt.Fprintln(os.Stderr, step) }
	progress(stack.Building)
	bin := filepath.Join(folder.Path(), "bin")
	if err := stack.Build(ctx, bin); err != nil {
		return err
	}
	if err := copyProgram(filepath.Join(bin, "sagactl")); err != nil {
		return err
	}
	links := &stage.Links{}
	defer func() { err = errors.Join(err, links.Close()) }()
	system, err := stack.Start(ctx, stack.Config{
		Bin: bin, Dir: folder.Path(), Durable: true, FixedPorts: !u.FreePorts, Admin: u.FreePorts, HTTP: true,
		Relays:   1,
		Simulate: stack.Simulate, Progress: progress, TLS: u.TLS, Route: links.Route,
		Transport: u.Transport, InstalledBroker: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Stop()) }()
	played := stage.New(system, links, stage.Lasts, progress)
	defer func() { err = errors.Join(err, played.Close()) }()
	shown, err := showSystem(ctx, listener, system, played)
	if err != nil {
		return err
	}
	if err := introduce(screen, system, shown.url); err != nil {
		return err
	}
	err = shown.wait()
	progress("stopping")
	return err
}

// copyProgram copies this very program.
func copyProgram(to string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(to, program, 0o755)
}

const paste = `
# In a browser, see it live, and break it:
# %[7]s

# In another terminal, for everything that follows:
. %[1]s

# Place an order, and see how it ends. 9999 makes paymentd fail, 9998 loses its
# reply, 9997 hangs, 9996 is declined.
%[2]s order create 1200 --wait
sagactl orders

# Cancel an order; ask all services what happened to one:
sagactl order cancel $(order 2500) --wait
sagactl explain $(order 9998 --wait)

# Is all well? Does a command need a person? Do the two databases agree?
sagactl status
sagactl parked
sagactl reconcile

# The same from anywhere else, by gRPC and as JSON:
grpcurl %[3]s -d '{"customer_id": "ada", "currency_code": "JPY",
  "items": [{"name": "tea", "quantity": 2, "unit_price": 600}]}' %[4]s order.v1.OrderService/CreateOrder
%[5]s --json '{"customer_id": "ada", "currency_code": "JPY",
  "items": [{"name": "tea", "quantity": 2, "unit_price": 600}]}' '%[6]s/v1/orders?wait=8s'
`

const pasteOverBroker = `# What can the topics between relay and paymentd promise (%s)?
sagactl broker check
`

// introduce writes the system's environment, and says where everything is.
func introduce(screen *terminal.Terminal, system *stack.Stack, console string) error {
	env := filepath.Join(system.Dir, "env")
	at := append(places(system), variable{"CONSOLE", console})
	if err := os.WriteFile(env, []byte(environment(system, at)), 0o600); err != nil { // it has the console's token
		return err
	}
	for _, v := range at {
		screen.Line("%s=%s", v.name, v.value)
	}
	shop := asShop(system)
	screen.Line(paste, word(env), shop.sagactl, shop.grpcurl, system.Orderd.Address,
		shop.curl, door(system), console)
	if system.Broker != nil {
		screen.Line(pasteOverBroker, system.Broker.Kind())
	}
	screen.Line("ready")
	return nil
}

// shop is who places orders, as a person is told to be it: by the function of the environment that has its certificate,
// and by flags.
type shop struct{ sagactl, grpcurl, curl string }

func asShop(system *stack.Stack) shop {
	files := system.Files(shopName)
	if files.None() {
		return shop{"sagactl", "-plaintext", "curl"}
	}
	flags := func(dashes string) string {
		return fmt.Sprintf("%[1]scert %[2]s %[1]skey %[3]s %[1]scacert %[4]s", dashes,
			word(files.Cert), word(files.Key), word(files.CA))
	}
	return shop{shopName, flags("-"), "curl " + flags("--")}
}

// door is where orders are JSON.
func door(system *stack.Stack) string {
	scheme := "http://"
	if !system.Files(shopName).None() {
		scheme = "https://"
	}
	return scheme + system.Orderd.HTTPAddress
}
