package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"syscall"

	"hosho/internal/authority"
	"hosho/internal/console"
	"hosho/internal/lab/stack"
	"hosho/internal/rpc"
	"hosho/internal/story"
)

// consoleAddress is where a console is unless somebody says otherwise.
const consoleAddress = "127.0.0.1:8001"

// listenConsole takes the address of the console before anything is built.
func (u *up) listenConsole() (net.Listener, error) {
	address := consoleAddress
	if u.FreePorts {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: %s, where the console is to be", stack.ErrPortTaken, address)
	}
	return listener, err
}

// showSystem serves the console of a system until ctx ends, with the operator's certificate if there are any.
func showSystem(
	ctx context.Context, listener net.Listener, system *stack.Stack, stage console.Stage,
) (*servedConsole, error) {
	both := databases{OrdersURL: system.OrdersURL(), PaymentsURL: system.PaymentsURL()}
	config := console.Config{Token: rand.Text(), Stage: stage, Operator: account(), Compare: both.compare}
	add := func(service string, p *stack.Process) error {
		conn, err := reach(service, p.Address, rpc.As(system.Keeper("operator"), authority.ID(service)))
		config.Daemons = append(config.Daemons, console.Daemon{Service: service, Address: p.Address, Conn: conn})
		return err
	}
	err := errors.Join(add(story.Orderd, system.Orderd), add(story.Paymentd, system.Paymentd))
	for _, p := range system.Relays {
		err = errors.Join(err, add(story.Relay, p))
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return serveConsole(ctx, config, listener)
}
