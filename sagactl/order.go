package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

type orderVerbs struct {
	Create createOrder `cmd:"" help:"Place an order."`
	Get    getOrder    `cmd:"" help:"Show an order as it is now."`
	Cancel cancelOrder `cmd:"" help:"Give an order up; what was paid is refunded."`
}

type createOrder struct {
	orderd
	Amount    amount `arg:"" help:"What it costs, in the currency's minor unit: yen, cents."`
	Currency  string `default:"JPY" help:"The currency, by ISO 4217."`
	Customer  string `default:"ada" help:"Who orders."`
	RequestID string `help:"The same id is the same order; by default it is a new one." placeholder:"ID"`
	Wait      bool   `help:"Wait until it is settled, and exit 1 when it is CANCELLED."`
	Quiet     bool   `short:"q" help:"Print the order's id and nothing else." xor:"output"`
	JSON      bool   `help:"Print the order as JSON; with --wait each of its states." xor:"output"`
}

// amount is an amount of money in the currency's minor unit.
type amount int64

// UnmarshalText reads an amount.
func (a *amount) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 1 || n > order.MaxAmount {
		return fmt.Errorf("got %q, want 1 to %d, in the currency's minor unit: 1200 for 1200 JPY, or for 12.00 USD",
			text, int64(order.MaxAmount))
	}
	*a = amount(n)
	return nil
}

// Run places the order. It repeats the request while the outcome is not known, which is safe with its id.
func (c *createOrder) Run(ctx context.Context, screen *terminal.Terminal) error {
	orders, err := c.orders()
	if err != nil {
		return err
	}
	id := cmp.Or(c.RequestID, uuid.NewString())
	request := &orderv1.CreateOrderRequest{
		CustomerId: c.Customer, CurrencyCode: c.Currency, RequestId: &id,
		Items: []*orderv1.Item{{Name: "an order by sagactl", Quantity: 1, UnitPrice: int64(c.Amount)}},
	}
	var placed *orderv1.Order
	err = retried(ctx, func() (bool, error) {
		reply, err := orders.CreateOrder(ctx, request)
		placed = reply.GetOrder()
		return false, err
	})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unavailable, codes.DeadlineExceeded: // it may have been placed
		return fmt.Errorf("%w; to ask again for the same order: --request-id %s", err, id)
	default:
		return err
	}
	print := orderPrinter{screen: screen, quiet: c.Quiet, json: c.JSON}
	if err := print.placed(placed); err != nil || !c.Wait {
		return err
	}
	return awaitEnd(ctx, c.orderd, placed, print.next, orderv1.Order_STATUS_COMPLETED)
}

type cancelOrder struct {
	orderd
	Order string `arg:"" help:"The order's id."`
	Wait  bool   `help:"Wait until it is CANCELLED."`
	JSON  bool   `help:"Print the order as JSON; with --wait each of its states."`
}

// Run gives the order up. A repeat does no more.
func (c *cancelOrder) Run(ctx context.Context, screen *terminal.Terminal) error {
	orders, err := c.orders()
	if err != nil {
		return err
	}
	var given *orderv1.Order
	err = retried(ctx, func() (bool, error) {
		reply, err := orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: c.Order})
		given = reply.GetOrder()
		return false, err
	})
	if err != nil {
		return err
	}
	print := orderPrinter{screen: screen, json: c.JSON}
	if err := print.placed(given); err != nil || !c.Wait {
		return err
	}
	return awaitEnd(ctx, c.orderd, given, print.next, orderv1.Order_STATUS_CANCELLED)
}

// awaitEnd follows an order until it is settled, and returns errDiffers when it ends otherwise than wanted.
func awaitEnd(
	ctx context.Context, from orderd, o *orderv1.Order, tell func(*orderv1.Order) error, want orderv1.Order_Status,
) error {
	end, err := followOrder(ctx, from, o, tell)
	if err == nil && end.GetStatus() != want {
		return errDiffers
	}
	return err
}

// orderPrinter prints an order and what becomes of it.
type orderPrinter struct {
	screen *terminal.Terminal
	quiet  bool // the id alone
	json   bool
}

func (p orderPrinter) placed(o *orderv1.Order) error {
	switch {
	case p.quiet:
		p.screen.Line("%s", o.GetOrderId())
		return nil
	case p.json:
		return printJSON(p.screen, o)
	}
	p.screen.Line("%s  %s", o.GetOrderId(), story.OrderLine(o))
	return nil
}

func (p orderPrinter) next(o *orderv1.Order) error {
	if p.quiet {
		return nil
	}
	return p.state(o)
}

// state prints a state that the order has come to.
func (p orderPrinter) state(o *orderv1.Order) error {
	if p.json {
		return printJSON(p.screen, o)
	}
	p.screen.Line("%s  %s  %s  %s of %s",
		p.screen.Paint(terminal.Dim, clock(o.GetUpdateTime().AsTime().Local(), time.Now())), o.GetOrderId(),
		paintState(p.screen, o), story.Amount(o.GetTotal()), o.GetCustomerId())
	return nil
}

// clock is a time of today, or of another day with its date.
func clock(at, now time.Time) string {
	const exact = "15:04:05.000"
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(exact)
	}
	return at.Format(time.DateOnly + " " + exact)
}

// stateColumn is as wide as the widest state, CANCELLED (PAYMENT_DECLINED).
const stateColumn = "%-28s"

// paintState is an order's state as a column.
func paintState(screen *terminal.Terminal, o *orderv1.Order) string {
	return screen.Paint(styles[story.StatusTone(o.GetStatus())], fmt.Sprintf(stateColumn, story.OrderState(o)))
}

type getOrder struct {
	orderd
	Order string `arg:"" help:"The order's id."`
	JSON  bool   `help:"Print the order as JSON."`
}

// Run shows the order.
func (g *getOrder) Run(ctx context.Context, screen *terminal.Terminal) error {
	orders, err := g.orders()
	if err != nil {
		return err
	}
	reply, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: g.Order})
	if err != nil {
		return err
	}
	if g.JSON {
		return printJSON(screen, reply.GetOrder())
	}
	showOrder(screen, reply.GetOrder())
	return nil
}

func showOrder(screen *terminal.Terminal, o *orderv1.Order) {
	line := func(name, value string) {
		screen.Line("%s  %s", screen.Paint(terminal.Bold, fmt.Sprintf("%-8s", name)), value)
	}
	line("ORDER", o.GetOrderId())
	line("STATUS", screen.Paint(styles[story.StatusTone(o.GetStatus())], story.OrderState(o)))
	line("TOTAL", story.Amount(o.GetTotal()))
	line("CUSTOMER", o.GetCustomerId())
	for _, item := range o.GetItems() {
		price := &moneyv1.Money{CurrencyCode: o.GetTotal().GetCurrencyCode(), AmountMinor: item.GetUnitPrice()}
		line("ITEM", fmt.Sprintf("%d x %s, %s each", item.GetQuantity(), item.GetName(), story.Amount(price)))
	}
	line("PLACED", story.Time(o.GetCreateTime()))
	line("CHANGED", story.Time(o.GetUpdateTime()))
	line("PAY BY", story.Time(o.GetDeadlineTime()))
}
