package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/rpc"
	"hosho/internal/terminal"
)

// outboxService is the flags that name a relay. Any relay answers for all of them.
type outboxService struct {
	Relay string `default:"127.0.0.1:50053" env:"RELAY" help:"The gRPC address of a relay."`
}

// operatorTimeout bounds one call.
const operatorTimeout = 10 * time.Second

// call calls a relay, and gives its error in words.
func (o outboxService) call(ctx context.Context, do func(context.Context, relayv1.OutboxServiceClient) error) error {
	conn, err := rpc.Dial(o.Relay)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	if err := do(ctx, relayv1.NewOutboxServiceClient(conn)); err != nil {
		return fmt.Errorf("the relay at %s answers %s: %s", o.Relay, status.Code(err), status.Convert(err).Message())
	}
	return nil
}

type parked struct {
	outboxService
	JSON bool `help:"Print a JSON object for each command."`
}

// Run lists the commands that need a person.
func (p *parked) Run(ctx context.Context, screen *terminal.Terminal) error {
	return p.call(ctx, func(ctx context.Context, relay relayv1.OutboxServiceClient) error {
		var commands []*relayv1.ParkedCommand
		for token := ""; ; {
			reply, err := relay.ListParked(ctx, &relayv1.ListParkedRequest{PageToken: token, PageSize: 1000})
			if err != nil {
				return err
			}
			commands = append(commands, reply.GetCommands()...)
			if token = reply.GetNextPageToken(); token == "" {
				return p.print(screen, commands)
			}
		}
	})
}

func (p *parked) print(out io.Writer, commands []*relayv1.ParkedCommand) error {
	if p.JSON {
		for _, c := range commands {
			text, err := protojson.Marshal(c)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, string(text))
		}
		return nil
	}
	if len(commands) == 0 {
		fmt.Fprintln(out, "nothing is parked or stuck")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ORDER\tCOMMAND\tWHY\tLAST CODE\tATTEMPTS\tCLAIMS\tSINCE\tWHAT FOLLOWS BY ITSELF")
	for _, c := range commands {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n",
			c.GetOrderId(), kindName(c.GetKind()), whyName(c.GetWhy()), cmp.Or(c.GetCause(), "-"),
			c.GetAttempts(), c.GetClaims(), localTime(c.GetCreateTime()), outlook(c))
	}
	return table.Flush()
}

// outlook says what happens to a command that nobody touches.
func outlook(c *relayv1.ParkedCommand) string {
	switch {
	case c.GetParkTime() != nil && c.GetDeadlineTime() != nil:
		return "it is voided at " + localTime(c.GetDeadlineTime())
	case c.GetParkTime() != nil:
		return "nothing"
	case c.GetLeaseEndTime() != nil:
		return "a relay is at it, until " + localTime(c.GetLeaseEndTime()) + " at the longest"
	case c.GetNextAttemptTime().AsTime().After(time.Now()):
		return "it is tried again at " + localTime(c.GetNextAttemptTime())
	}
	return "it is due since " + localTime(c.GetNextAttemptTime())
}

func whyName(w relayv1.ParkedCommand_Why) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(w.String(), "WHY_"), "_", " "))
}

func kindName(k relayv1.ParkedCommand_Kind) string { return strings.TrimPrefix(k.String(), "KIND_") }

func localTime(t *timestamppb.Timestamp) string { return t.AsTime().Local().Format(time.DateTime) }

type retry struct {
	outboxService
	Order string `arg:"" help:"The order's id."`
	Void  bool   `help:"Retry the order's void instead of its charge."`
}

// Run makes a command due at once.
func (r *retry) Run(ctx context.Context, screen *terminal.Terminal) error {
	kind := relayv1.ParkedCommand_KIND_CHARGE
	if r.Void {
		kind = relayv1.ParkedCommand_KIND_VOID
	}
	err := r.call(ctx, func(ctx context.Context, relay relayv1.OutboxServiceClient) error {
		_, err := relay.RetryParked(ctx, &relayv1.RetryParkedRequest{OrderId: r.Order, Kind: kind})
		return err
	})
	if err == nil {
		screen.Line("the %s of order %s is due now", kindName(kind), r.Order)
	}
	return err
}

type settle struct {
	outboxService
	Order    string `arg:"" help:"The order's id."`
	Reason   string `required:"" help:"Why it is settled by hand. It is kept in the audit table."`
	Operator string `default:"${account}" help:"Who decides, for the audit table; by default whose account this is."`
}

// Run cancels an order that the saga can never settle.
func (s *settle) Run(ctx context.Context, screen *terminal.Terminal) error {
	err := s.call(ctx, func(ctx context.Context, relay relayv1.OutboxServiceClient) error {
		_, err := relay.SettleParked(ctx, &relayv1.SettleParkedRequest{
			OrderId: s.Order, Reason: s.Reason, Operator: s.Operator,
		})
		return err
	})
	if err == nil {
		screen.Line("order %s is CANCELLED by hand; no money was moved", s.Order)
	}
	return err
}
