package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
)

// fromCreate makes a new order of a request that has passed checkCreate.
func fromCreate(ctx context.Context, r *orderv1.CreateOrderRequest, deadline time.Duration) (orderdb.NewOrder, error) {
	items := fromItems(r.GetItems())
	total, err := order.Total(items)
	if err != nil {
		return orderdb.NewOrder{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return orderdb.NewOrder{}, fmt.Errorf("make an order id: %w", err)
	}
	return orderdb.NewOrder{
		ID: id.String(), CustomerID: r.GetCustomerId(), RequestID: r.GetRequestId(),
		Items: items, AmountMinor: total, Currency: r.GetCurrencyCode(),
		Deadline: deadline, Traceparent: fromTrace(ctx),
	}, nil
}

func fromItems(sent []*orderv1.Item) []order.Item {
	items := make([]order.Item, len(sent))
	for i, item := range sent {
		items[i] = order.Item{Name: item.GetName(), Quantity: item.GetQuantity(), UnitPrice: item.GetUnitPrice()}
	}
	return items
}

var traceForm = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// fromTrace answers the W3C trace context that the client sent along, "" when there is none of the known form. It goes
// into the outbox, so that the delivery joins the client's trace.
func fromTrace(ctx context.Context) string {
	for _, sent := range metadata.ValueFromIncomingContext(ctx, "traceparent") {
		if traceForm.MatchString(sent) {
			return sent
		}
	}
	return ""
}

// fromOrderID answers an order's id as the database writes it, or a *validate.Error.
func fromOrderID(sent string) (string, error) {
	return strings.ToLower(sent), checkOrderID(sent)
}

func fromFilter(r *orderv1.ListOrdersRequest) orderdb.Filter {
	f := orderdb.Filter{CustomerID: r.GetCustomerId()}
	if r.GetStatus() != orderv1.Order_STATUS_UNSPECIFIED {
		f.Status = order.Status(strings.TrimPrefix(r.GetStatus().String(), statusPrefix))
	}
	return f
}

// The database holds the words of the enums without these.
const (
	statusPrefix = "STATUS_"
	reasonPrefix = "CANCEL_REASON_"
)

func toOrder(o order.Order) *orderv1.Order {
	out := &orderv1.Order{
		OrderId:      o.ID,
		CustomerId:   o.CustomerID,
		Total:        &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor},
		Status:       orderv1.Order_Status(orderv1.Order_Status_value[statusPrefix+string(o.Status)]),
		CancelReason: orderv1.Order_CancelReason(orderv1.Order_CancelReason_value[reasonPrefix+string(o.CancelReason)]),
		CreateTime:   timestamppb.New(o.CreatedAt),
		UpdateTime:   timestamppb.New(o.UpdatedAt),
		DeadlineTime: timestamppb.New(o.DeadlineAt),
	}
	for _, item := range o.Items {
		out.Items = append(out.Items, &orderv1.Item{Name: item.Name, Quantity: item.Quantity, UnitPrice: item.UnitPrice})
	}
	return out
}
