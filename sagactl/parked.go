package main

import (
	"cmp"
	"context"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

type parked struct {
	relay
	JSON bool `help:"Print a JSON object for each command."`
}

// Run lists the commands that need a person.
func (p *parked) Run(ctx context.Context, screen *terminal.Terminal) error {
	outbox, err := p.outbox()
	if err != nil {
		return err
	}
	commands, err := allParked(ctx, outbox)
	if err != nil {
		return err
	}
	if p.JSON {
		return printJSON(screen, commands...)
	}
	printParked(screen, commands)
	return nil
}

// allParked returns the commands that need a person, the oldest first.
func allParked(ctx context.Context, outbox relayv1.OutboxServiceClient) ([]*relayv1.ParkedCommand, error) {
	var commands []*relayv1.ParkedCommand
	for token := ""; ; {
		reply, err := outbox.ListParked(ctx, &relayv1.ListParkedRequest{PageToken: token, PageSize: 1000})
		if err != nil {
			return nil, err
		}
		commands = append(commands, reply.GetCommands()...)
		if token = reply.GetNextPageToken(); token == "" {
			return commands, nil
		}
	}
}

func printParked(screen *terminal.Terminal, commands []*relayv1.ParkedCommand) {
	if len(commands) == 0 {
		screen.Line("nothing is parked or stuck")
		return
	}
	table := screen.Table(0)
	table.Row("ORDER\tCOMMAND\tWHY\tLAST CODE\tATTEMPTS\tCLAIMS\tSENDS\tSINCE\tWHAT FOLLOWS BY ITSELF")
	for _, c := range commands {
		table.Row("%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s",
			c.GetOrderId(), story.Kind(c.GetKind()), story.Why(c.GetWhy()), cmp.Or(c.GetLastCode(), "-"),
			c.GetAttempts(), c.GetClaims(), c.GetSends(), story.Time(c.GetCreateTime()), story.OutlookOf(c))
	}
	table.Flush()
}

type retry struct {
	relay
	Order    string `arg:"" help:"The order's id."`
	Void     bool   `help:"Retry the order's void instead of its charge."`
	Reason   string `help:"Why it is tried again. It is kept in the audit table."`
	Operator string `default:"${account}" help:"Who wants it, for the audit table; by default whose account this is."`
}

// Run makes a command due at once.
func (r *retry) Run(ctx context.Context, screen *terminal.Terminal) error {
	kind := relayv1.ParkedCommand_KIND_CHARGE
	if r.Void {
		kind = relayv1.ParkedCommand_KIND_VOID
	}
	outbox, err := r.outbox()
	if err != nil {
		return err
	}
	_, err = outbox.RetryParked(ctx, &relayv1.RetryParkedRequest{
		OrderId: r.Order, Kind: kind, Reason: r.Reason, Operator: r.Operator,
	})
	if err != nil {
		return err
	}
	screen.Line("the %s of order %s is due now", story.Kind(kind), r.Order)
	return nil
}

type settle struct {
	relay
	Order    string `arg:"" help:"The order's id."`
	Reason   string `required:"" help:"Why it is settled by hand. It is kept in the audit table."`
	Operator string `default:"${account}" help:"Who decides, for the audit table; by default whose account this is."`
}

// Run cancels an order that the saga can never settle.
func (s *settle) Run(ctx context.Context, screen *terminal.Terminal) error {
	outbox, err := s.outbox()
	if err != nil {
		return err
	}
	_, err = outbox.SettleParked(ctx, &relayv1.SettleParkedRequest{
		OrderId: s.Order, Reason: s.Reason, Operator: s.Operator,
	})
	if err != nil {
		return err
	}
	screen.Line("order %s is CANCELLED by hand; no money was moved", s.Order)
	return nil
}
