package main

import (
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

func toOrder(o order.Order) *orderv1.Order {
	out := &orderv1.Order{
		OrderId:      o.ID,
		CustomerId:   o.CustomerID,
		Total:        &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor},
		Status:       toStatusOf(o),
		CancelReason: toReason(o),
		CreateTime:   timestamppb.New(o.CreatedAt),
		UpdateTime:   timestamppb.New(o.UpdatedAt),
		DeadlineTime: timestamppb.New(o.DeadlineAt),
	}
	for _, item := range o.Items {
		out.Items = append(out.Items, &orderv1.Item{
			Name: item.Name, Quantity: item.Quantity, UnitPrice: item.UnitPrice,
		})
	}
	return out
}

func toStatusOf(o order.Order) orderv1.Order_Status {
	return orderv1.Order_Status(orderv1.Order_Status_value[statusPrefix+string(o.Status)])
}

func toReason(o order.Order) orderv1.Order_CancelReason {
	return orderv1.Order_CancelReason(orderv1.Order_CancelReason_value[reasonPrefix+string(o.CancelReason)])
}
