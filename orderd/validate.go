package main

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/page"
	"hosho/internal/validate"
)

// Each check answers a *validate.Error that names every field at fault, or nil.

func checkOrderID(orderID string) error {
	var f validate.Fields
	f.UUID("order_id", orderID)
	return f.Err()
}

func checkCreate(r *orderv1.CreateOrderRequest) error {
	var f validate.Fields
	f.ID("customer_id", r.GetCustomerId())
	f.Currency("currency_code", r.GetCurrencyCode())
	if r.RequestId != nil { // an empty one was meant as one: to take it for none would make the repeat a second order
		f.ID("request_id", r.GetRequestId())
	}
	checkItems(&f, fromItems(r.GetItems()))
	return f.Err()
}

// checkItems does not look at the items when they are too many: the answer would be as long.
func checkItems(f *validate.Fields, items []order.Item) {
	if len(items) < 1 || len(items) > order.MaxItems {
		f.Add("items", "got %d items, want 1 to %d", len(items), order.MaxItems)
		return
	}
	summable := true // Total wants quantities and prices of at least 1
	for i, item := range items {
		path := fmt.Sprintf("items[%d].", i)
		checkName(f, path+"name", item.Name)
		f.Range(path+"quantity", int64(item.Quantity), 1, math.MaxInt32)
		f.Range(path+"unit_price", item.UnitPrice, 1, order.MaxAmount)
		summable = summable && item.Quantity >= 1 && item.UnitPrice >= 1
	}
	if !summable {
		return
	}
	if _, err := order.Total(items); err != nil {
		f.Add("items", "%v", err)
	}
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

func checkList(r *orderv1.ListOrdersRequest) error {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	if r.GetCustomerId() != "" {
		f.ID("customer_id", r.GetCustomerId())
	}
	if _, known := orderv1.Order_Status_name[int32(r.GetStatus())]; !known {
		f.Add("status", "got %d, want a status of Order.Status", r.GetStatus())
	}
	return f.Err()
}
