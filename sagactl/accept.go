package main

import (
	"context"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/terminal"
)

type acceptPayments struct {
	relay
	ID       string `arg:"" help:"The identity of the payments database, as sagactl status shows it."`
	Reason   string `required:"" help:"Why it is trusted. It is kept in the database."`
	Operator string `default:"${account}" help:"Who decides; by default whose account this is."`
}

// Run has the orders trust another payments database. It names the one that it means: whatever else paymentd has by
// then is not accepted.
func (a *acceptPayments) Run(ctx context.Context, screen *terminal.Terminal) error {
	outbox, err := a.outbox()
	if err != nil {
		return err
	}
	reply, err := outbox.AcceptPaymentsDatabase(ctx, &relayv1.AcceptPaymentsDatabaseRequest{
		PaymentsDatabase: a.ID, Reason: a.Reason, Operator: a.Operator,
	})
	if err != nil {
		return err
	}
	if reply.GetPrevious() == "" {
		screen.Line("the orders trust payments database %s", a.ID)
		return nil
	}
	screen.Line("the orders trust payments database %s, and no more %s", a.ID, reply.GetPrevious())
	return nil
}

type acceptOrders struct {
	paymentd
	ID       string `arg:"" help:"The identity of the orders database, as sagactl status shows it."`
	Reason   string `required:"" help:"Why it is trusted. It is kept in the database."`
	Operator string `default:"${account}" help:"Who decides; by default whose account this is."`
}

// Run has the payments trust another orders database, and act on what its events on a broker ask for.
func (a *acceptOrders) Run(ctx context.Context, screen *terminal.Terminal) error {
	payments, err := a.payments()
	if err != nil {
		return err
	}
	reply, err := payments.AcceptOrdersDatabase(ctx, &paymentv1.AcceptOrdersDatabaseRequest{
		OrdersDatabase: a.ID, Reason: a.Reason, Operator: a.Operator,
	})
	if err != nil {
		return err
	}
	if reply.GetPrevious() == "" {
		screen.Line("the payments trust orders database %s", a.ID)
		return nil
	}
	screen.Line("the payments trust orders database %s, and no more %s", a.ID, reply.GetPrevious())
	return nil
}
