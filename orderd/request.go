package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/page"
	"hosho/internal/validate"
)

// fromCreate reads a request once, as all of this file do: it returns what is asked for, in the domain's values, or a
// *validate.Error that names every field at fault; here also how long the answer may wait.
func fromCreate(
	r *orderv1.CreateOrderRequest, deadline time.Duration, traceparent string,
) (wanted orderdb.NewOrder, wait time.Duration, err error) {
	var f validate.Fields
	wait = fromWait(&f, r.GetWait())
	wanted, err = fromOrder(&f, r, deadline, traceparent)
	return wanted, wait, err
}

// fromSequenced reads an order of a stream.
func fromSequenced(
	r *orderv1.CreateOrderRequest, deadline time.Duration, traceparent string,
) (orderdb.NewOrder, error) {
	var f validate.Fields
	if r == nil {
		r = &orderv1.CreateOrderRequest{}
	}
	if r.GetWait() != nil {
		f.Add("wait", "got one, want none: tell_settled asks for the end")
	}
	return fromOrder(&f, r, deadline, traceparent)
}

// fromOrder also returns what other fields were found at fault for.
func fromOrder(
	f *validate.Fields, r *orderv1.CreateOrderRequest, deadline time.Duration, traceparent string,
) (orderdb.NewOrder, error) {
	f.ID("customer_id", r.GetCustomerId())
	f.Currency("currency_code", r.GetCurrencyCode())
	if r.RequestId != nil { // an empty one was meant as one: to take it for none would make the repeat a second order
		f.ID("request_id", r.GetRequestId())
	}
	items, total := fromItems(f, r.GetItems())
	if err := f.Err(); err != nil {
		return orderdb.NewOrder{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return orderdb.NewOrder{}, fmt.Errorf("make an order id: %w", err)
	}
	return orderdb.NewOrder{
		ID: id.String(), CustomerID: r.GetCustomerId(), RequestID: r.GetRequestId(),
		Items: items, AmountMinor: total, Currency: r.GetCurrencyCode(),
		Deadline: deadline, Traceparent: traceparent,
	}, nil
}

// fromItems returns the items and their total. It does not look at them when they are too many: the answer would be as
// long.
func fromItems(f *validate.Fields, sent []*orderv1.Item) (items []order.Item, total int64) {
	if len(sent) < 1 || len(sent) > order.MaxItems {
		f.Add("items", "got %d items, want 1 to %d", len(sent), order.MaxItems)
		return nil, 0
	}
	summable := true // Total wants quantities and prices of at least 1
	items = make([]order.Item, len(sent))
	for i, s := range sent {
		item := order.Item{Name: s.GetName(), Quantity: s.GetQuantity(), UnitPrice: s.GetUnitPrice()}
		var own validate.Fields
		checkName(&own, "name", item.Name)
		own.Range("quantity", int64(item.Quantity), 1, math.MaxInt32)
		own.Range("unit_price", item.UnitPrice, 1, order.MaxAmount)
		f.AddOf("items", i, &own)
		summable = summable && item.Quantity >= 1 && item.UnitPrice >= 1
		items[i] = item
	}
	if !summable {
		return items, 0
	}
	total, err := order.Total(items)
	if err != nil {
		f.Add("items", "%v", err)
	}
	return items, total
}

// checkName lets any text through, in any script, and keeps it as it is, but for control characters: a name is one
// line. NUL is what PostgreSQL cannot store, and line feeds and escapes could forge lines and commands wherever a name
// is printed. Joiners and marks of direction are no control characters: emoji and some scripts need them.
func checkName(f *validate.Fields, field, name string) {
	runes := utf8.RuneCountInString(name)
	switch {
	case !utf8.ValidString(name):
		f.Add(field, "got bytes that are not UTF-8, want UTF-8")
	case runes < 1 || runes > order.MaxNameRunes:
		f.Add(field, "got %d characters, want 1 to %d", runes, order.MaxNameRunes)
	case len(name) > order.MaxNameBytes:
		f.Add(field, "got %d bytes, want at most %d", len(name), order.MaxNameBytes)
	}
	if i := strings.IndexFunc(name, unicode.IsControl); i >= 0 {
		f.Add(field, "got a control character at byte %d, want none", i)
	}
}

// fromList returns which orders are asked for. Where the page begins is in its token.
func fromList(r *orderv1.ListOrdersRequest) (orderdb.Filter, error) {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	filter := orderdb.Filter{CustomerID: r.GetCustomerId()}
	if filter.CustomerID != "" {
		f.ID("customer_id", filter.CustomerID)
	}
	switch name, known := orderv1.Order_Status_name[int32(r.GetStatus())]; {
	case !known:
		f.Add("status", "got %d, want a status of Order.Status", r.GetStatus())
	case r.GetStatus() != orderv1.Order_STATUS_UNSPECIFIED:
		filter.Status = order.Status(strings.TrimPrefix(name, statusPrefix))
	}
	return filter, f.Err()
}
