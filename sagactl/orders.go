package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

type orders struct {
	orderd
	Status   orderStatus   `help:"Only pending, completed, cancelling or cancelled ones." placeholder:"S"`
	Customer string        `help:"Only this customer's orders." placeholder:"C"`
	Since    time.Duration `help:"Only orders placed in this last while: 90s, 1h." placeholder:"D"`
	Limit    int           `default:"20" help:"How many at most; 0: all."`
	JSON     bool          `help:"Print a JSON object for each order."`
}

// Validate is called by kong.
func (l *orders) Validate() error {
	switch {
	case l.Since < 0:
		return fmt.Errorf("--since: got %s, want 0 or more", l.Since)
	case l.Limit < 0:
		return fmt.Errorf("--limit: got %d, want 0 or more", l.Limit)
	}
	return l.orderd.Validate()
}

// orderStatus is a status in whatever case people write it.
type orderStatus orderv1.Order_Status

// UnmarshalText reads a status.
func (s *orderStatus) UnmarshalText(text []byte) error {
	n, ok := orderv1.Order_Status_value["STATUS_"+strings.ToUpper(string(text))]
	if !ok || n == 0 {
		return fmt.Errorf("got %q, want pending, completed, cancelling or cancelled", text)
	}
	*s = orderStatus(n)
	return nil
}

// Run lists orders, the newest first. It looks no further than the first one that is too old.
func (l *orders) Run(ctx context.Context, screen *terminal.Terminal) error {
	client, err := l.orders()
	if err != nil {
		return err
	}
	var oldest time.Time
	if l.Since > 0 {
		oldest = time.Now().Add(-l.Since)
	}
	listed := 0
	for o, err := range l.newestFirst(ctx, client) {
		switch {
		case err != nil:
			return err
		case o.GetCreateTime().AsTime().Before(oldest):
			return l.end(screen, listed, "")
		case l.Limit > 0 && listed == l.Limit:
			return l.end(screen, listed, "there are more: --limit 0 lists all")
		}
		if err := l.print(screen, o, listed == 0); err != nil {
			return err
		}
		listed++
	}
	return l.end(screen, listed, "")
}

// maxPage is what a page of orders holds at most.
const maxPage = 1000

// newestFirst is the orders asked for, read page by page. An error is the last thing in it.
func (l *orders) newestFirst(ctx context.Context, client orderv1.OrderServiceClient) iter.Seq2[*orderv1.Order, error] {
	request := &orderv1.ListOrdersRequest{
		CustomerId: l.Customer, Status: orderv1.Order_Status(l.Status), PageSize: maxPage,
	}
	if l.Limit > 0 && l.Limit < maxPage {
		request.PageSize = int32(l.Limit) + 1 // one more shows whether there are more
	}
	return func(yield func(*orderv1.Order, error) bool) {
		for {
			page, err := client.ListOrders(ctx, request)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range page.GetOrders() {
				if !yield(o, nil) {
					return
				}
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

func (l *orders) print(screen *terminal.Terminal, o *orderv1.Order, first bool) error {
	if l.JSON {
		return printJSON(screen, o)
	}
	const row = "%-36s  %s  %-23s  %s"
	if first {
		head := fmt.Sprintf(row, "ORDER", fmt.Sprintf(stateColumn, "STATUS"), "PLACED", "WHAT")
		screen.Line("%s", screen.Paint(terminal.Bold, head))
	}
	screen.Line(row, o.GetOrderId(), paintState(screen, o), story.Time(o.GetCreateTime()),
		story.Amount(o.GetTotal())+" of "+o.GetCustomerId())
	return nil
}

func (l *orders) end(screen *terminal.Terminal, listed int, more string) error {
	switch {
	case l.JSON:
	case listed == 0:
		screen.Line("no orders")
	case more != "":
		screen.Line("%s", screen.Paint(terminal.Dim, more))
	}
	return nil
}
