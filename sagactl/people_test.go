package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

// Whatever prints an order says what it costs in the currency's own unit; programs are told its minor unit.
func TestPeopleReadMoneyAsTheyPayIt(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"USD": "19.99 USD", "KWD": "1.999 KWD", "JPY": "1999 JPY"} {
		order := &orderv1.Order{
			CustomerId: "ada", Total: &moneyv1.Money{CurrencyCode: code, AmountMinor: 1999},
			Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 1999}},
		}
		for verb, print := range map[string]func(*terminal.Terminal) error{
			"explain":      func(t *terminal.Terminal) error { printStory(t, story.Story{Order: order}); return nil },
			"order get":    func(t *terminal.Terminal) error { showOrder(t, order); return nil },
			"order create": func(t *terminal.Terminal) error { return orderPrinter{screen: t}.placed(order) },
			"watch":        func(t *terminal.Terminal) error { return orderPrinter{screen: t}.state(order) },
			"orders":       func(t *terminal.Terminal) error { return (&orders{}).print(t, order, true) },
		} {
			got := string(printed(t, print))
			if told := strings.Count(got, want); told == 0 || told != strings.Count(got, code) {
				t.Errorf("%s: got %q, want %s, and no other amount", verb, got, want)
			}
		}
		got := string(printed(t, func(t *terminal.Terminal) error { return printJSON(t, order) }))
		if !strings.Contains(strings.ReplaceAll(got, " ", ""), `"amountMinor":"1999"`) {
			t.Errorf("as JSON: got %q, want the minor unit", got)
		}
	}
}

// An order that was changed on another day is not taken for one of today.
func TestAnotherDaysTimeHasItsDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 0, 0, 1, 0, time.UTC)
	if got := clock(now, now); got != "00:00:01.000" {
		t.Errorf("today: got %q, want the time alone", got)
	}
	if got := clock(now.Add(-2*time.Second), now); got != "2026-11-25 23:59:59.000" {
		t.Errorf("yesterday: got %q, want it with its date", got)
	}
}

// An outbox that has stood still for weeks says so; a program reads what it always read.
func TestLongTimesAreToldInDays(t *testing.T) {
	t.Parallel()
	kinds := []kindState{{Kind: "VOID", Oldest: elapsed(1203*time.Hour + 5*time.Second)}}
	p := statusPrinter{paint: func(_ terminal.Style, text string) string { return text }}
	p.backlog(kinds)
	if got := strings.Join(p.lines, "\n"); !strings.Contains(got, "  50d3h ") {
		t.Errorf("got %q, want 50d3h", got)
	}
	text, err := json.Marshal(kinds[0])
	if err != nil || !strings.Contains(string(text), `"oldest":"1203h0m5s"`) {
		t.Errorf("as JSON: got %s (%v), want 1203h0m5s", text, err)
	}
}
