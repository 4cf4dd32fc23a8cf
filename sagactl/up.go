package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hosho/internal/lab/stack"
	"hosho/internal/terminal"
)

type up struct {
	FreePorts bool `help:"Use free ports instead of the daemons' default addresses."`
}

// Run keeps a system running until ctx ends. What a script wants goes to standard output, progress to standard error.
func (u *up) Run(ctx context.Context, screen *terminal.Terminal) (err error) {
	dir, err := os.MkdirTemp("", "hosho-up-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // the databases may run as another user
		return err
	}
	progress := func(step string) { fmt.Fprintln(os.Stderr, step) }
	progress("building orderd, paymentd and relay")
	bin := filepath.Join(dir, "bin")
	if err := stack.Build(ctx, bin); err != nil {
		return err
	}
	system, err := stack.Start(ctx, stack.Config{
		Bin: bin, Dir: dir, Durable: true, FixedPorts: !u.FreePorts, Relays: 1, Simulate: stack.Simulate, Progress: progress,
	})
	if errors.Is(err, stack.ErrPortTaken) {
		return fmt.Errorf("%w: stop what uses it, or use --free-ports", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Stop()) }()
	u.introduce(screen, system)
	<-ctx.Done()
	progress("stopping")
	return nil
}

const paste = `
# Place an order, and see how it ended (-d '{"page_size": 1}' lists the newest):
grpcurl -plaintext -d '{"customer_id": "ada", "currency_code": "JPY", "items": [{"name": "tea", "quantity": 2, "unit_price": 600}]}' %[1]s order.v1.OrderService/CreateOrder
grpcurl -plaintext -d '{"page_size": 1}' %[1]s order.v1.OrderService/ListOrders

# Watch one (put in its order_id), cancel it, and look at its payment:
grpcurl -plaintext -d '{"order_id": "..."}' %[1]s order.v1.OrderService/WatchOrder
grpcurl -plaintext -d '{"order_id": "..."}' %[1]s order.v1.OrderService/CancelOrder
grpcurl -plaintext -d '{"payment_id": "..."}' %[2]s payment.v1.PaymentService/GetPayment

# Ask all services what happened to it:
go run ./sagactl explain ... --orderd %[1]s --paymentd %[2]s --relay %[3]s

# How much waits in the outbox:
grpcurl -plaintext %[3]s relay.v1.OutboxService/GetBacklog

# A unit_price of 9999, 9998, 9997 or 9996 and a quantity of 1 makes paymentd fail, lose its reply, hang or decline.
`

func (u *up) introduce(screen *terminal.Terminal, system *stack.Stack) {
	screen.Line("ORDERD=%s", system.Orderd.Address)
	screen.Line("PAYMENTD=%s", system.Paymentd.Address)
	screen.Line("RELAY=%s", system.Relays[0].Address)
	screen.Line("ORDERS_DATABASE_URL=%s", system.OrdersURL())
	screen.Line("PAYMENTS_DATABASE_URL=%s", system.PaymentsURL())
	screen.Line("DATA=%s", system.Dir)
	screen.Line(paste, system.Orderd.Address, system.Paymentd.Address, system.Relays[0].Address)
	screen.Line("ready")
}
