package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
)

// The database holds the words of the enums without these.
const (
	statusPrefix = "STATUS_"
	reasonPrefix = "CANCEL_REASON_"
)

// toOrder makes a message of many parts at once: there is one for each order.
func toOrder(o order.Order) *orderv1.Order {
	all := &struct {
		order                      orderv1.Order
		total                      moneyv1.Money
		created, updated, deadline timestamppb.Timestamp
	}{}
	out := &all.order
	out.OrderId, out.CustomerId, out.Status, out.CancelReason = o.ID, o.CustomerID, toStatusOf(o), toReason(o)
	out.Total, all.total.CurrencyCode, all.total.AmountMinor = &all.total, o.Currency, o.AmountMinor
	out.CreateTime = toTime(&all.created, o.CreatedAt)
	out.UpdateTime = toTime(&all.updated, o.UpdatedAt)
	out.DeadlineTime = toTime(&all.deadline, o.DeadlineAt)
	items := make([]orderv1.Item, len(o.Items))
	out.Items = make([]*orderv1.Item, len(o.Items))
	for i, item := range o.Items {
		items[i].Name, items[i].Quantity, items[i].UnitPrice = item.Name, item.Quantity, item.UnitPrice
		out.Items[i] = &items[i]
	}
	return out
}

func toTime(out *timestamppb.Timestamp, t time.Time) *timestamppb.Timestamp {
	out.Seconds, out.Nanos = t.Unix(), int32(t.Nanosecond())
	return out
}

func toStatusOf(o order.Order) orderv1.Order_Status { return statusOf[o.Status] }

// statusOf has the statuses as the contract has them.
var statusOf = func() map[order.Status]orderv1.Order_Status {
	all := map[order.Status]orderv1.Order_Status{}
	for _, s := range order.Statuses {
		all[s] = orderv1.Order_Status(orderv1.Order_Status_value[statusPrefix+string(s)])
	}
	return all
}()

func toReason(o order.Order) orderv1.Order_CancelReason {
	if o.CancelReason == "" {
		return orderv1.Order_CANCEL_REASON_UNSPECIFIED
	}
	return orderv1.Order_CancelReason(orderv1.Order_CancelReason_value[reasonPrefix+string(o.CancelReason)])
}
