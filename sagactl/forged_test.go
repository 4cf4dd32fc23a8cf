package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "hosho/gen/event/v1"
	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/reconcile"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

// forged is what somebody sends who wants a line of his own to be read, the screen empty, and digits turned round.
const forged = "ok\r\nORDER    settled\x1b[2J\x1b]0;title\a\u009b31m\u202e99\u2066\u200b\ufeff\x00\u2028"

// outputs are what this program prints of texts that others can choose, each of which is the one given.
func outputs(text string) map[string]func(*terminal.Terminal) error {
	everything := ways()["conflict"]
	everything.OrderID = text
	everything.Order = forge(proto.CloneOf(everything.Order), text)
	everything.Delivery = forge(&relayv1.ExplainOrderResponse{
		Attempts: []*relayv1.Attempt{attempt(1, 1, "", relayv1.Attempt_MEANING_AMBIGUOUS, 0)},
		Changes:  []*relayv1.StatusChange{changed(2, "PENDING", "CANCELLING", "", "")},
		Commands: []*relayv1.ParkedCommand{{Kind: relayv1.ParkedCommand_KIND_CHARGE, ParkTime: at(3)}},
		Decision: &relayv1.OperatorDecision{CreateTime: at(4)},
		Retries:  []*relayv1.OperatorRetry{{CreateTime: at(5)}},
	}, text)
	everything.Payment = forge(proto.CloneOf(everything.Payment), text)
	silent := inWords(text, text, status.Error(codes.Internal, text))
	everything.Silent = []story.Silence{{Service: story.Orderd, Err: silent}}
	order := forge(&orderv1.Order{Items: []*orderv1.Item{{Quantity: 1, UnitPrice: 1}}}, text)
	state := systemState{
		Daemons: []daemonState{
			{Service: text, Address: text, Why: text, Version: text, Process: text},
			{Service: text, Ready: true, Payments: &paymentsState{Problem: "ANOTHER", Told: text, Trusted: text}},
			{Service: text, Ready: true, Payments: &paymentsState{Problem: text}},
			{Service: text, Ready: true, Orders: &ordersState{Told: text, Trusted: text}},
		},
		Backlog: []kindState{{Kind: text, Open: []string{text}}},
		Persons: map[string]int{text: 1},
	}
	found := reconcile.Finding{
		Class: reconcile.Class(text), OrderID: text, Found: text, Todo: text, Repair: text,
	}
	finding := func(json bool) func(*terminal.Terminal) error {
		return func(t *terminal.Terminal) error {
			p := &reconcilePrinter{Terminal: t, progress: t, json: json, shown: map[reconcile.Class]int64{}}
			return p.found(found)
		}
	}
	waiting := everything.Delivery.GetCommands()
	change := orderChange{text, forge(&eventv1.Event{
		What: &eventv1.Event_Order{Order: &eventv1.OrderChange{Amount: &moneyv1.Money{}}},
	}, text)}
	watching := func(json bool) func(*terminal.Terminal) error {
		return func(t *terminal.Terminal) error { changePrinter{t, json}.print(change); return nil }
	}
	lines := func(print func(*terminal.Terminal)) func(*terminal.Terminal) error {
		return func(t *terminal.Terminal) error { print(t); return nil }
	}
	return map[string]func(*terminal.Terminal) error{
		"explain":          lines(func(t *terminal.Terminal) { printStory(t, everything) }),
		"explain --json":   func(t *terminal.Terminal) error { return everything.Encode(t) },
		"parked":           lines(func(t *terminal.Terminal) { printParked(t, waiting) }),
		"parked --json":    func(t *terminal.Terminal) error { return printJSON(t, waiting...) },
		"order get":        lines(func(t *terminal.Terminal) { showOrder(t, order) }),
		"order get --json": func(t *terminal.Terminal) error { return printJSON(t, order) },
		"order create":     func(t *terminal.Terminal) error { return orderPrinter{screen: t}.placed(order) },
		"watch ORDER":      func(t *terminal.Terminal) error { return orderPrinter{screen: t}.state(order) },
		"watch":            watching(false),
		"watch --json":     watching(true),
		"orders":           func(t *terminal.Terminal) error { return (&orders{}).print(t, order, true) },
		"status":           func(t *terminal.Terminal) error { return (&systemStatus{}).show(t, state) },
		"status --watch":   func(t *terminal.Terminal) error { return (&systemStatus{Watch: true}).show(t, state) },
		"status --json":    func(t *terminal.Terminal) error { return (&systemStatus{JSON: true}).show(t, state) },
		"reconcile":        finding(false),
		"reconcile --json": finding(true),
	}
}

// forge sets every text of a message.
func forge[M proto.Message](m M, text string) M {
	forgeAll(m.ProtoReflect(), protoreflect.ValueOfString(text))
	return m
}

func forgeAll(m protoreflect.Message, text protoreflect.Value) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch field := fields.Get(i); {
		case field.Kind() == protoreflect.StringKind && !field.IsList():
			m.Set(field, text)
		case field.Kind() == protoreflect.MessageKind && field.IsList():
			for j := range m.Get(field).List().Len() {
				forgeAll(m.Get(field).List().Get(j).Message(), text)
			}
		case field.Kind() == protoreflect.MessageKind && m.Has(field):
			forgeAll(m.Get(field).Message(), text)
		}
	}
}

// Nobody who sends a text has a line of his own on somebody's screen, nor takes anything from it.
func TestNobodyForgesALine(t *testing.T) {
	t.Parallel()
	innocent := outputs("x")
	for verb, print := range outputs(forged) {
		got := string(printed(t, print))
		if strings.HasSuffix(verb, "--json") && !json.Valid([]byte(strings.Split(got, "\n")[0])) {
			t.Errorf("%s: got %q, want JSON", verb, got)
		}
		wantPlain(t, verb, got)
		lines := strings.Count(string(printed(t, innocent[verb])), "\n")
		if n := strings.Count(got, "\n"); n != lines || n == 0 {
			t.Errorf("%s: got %d lines, want %d:\n%s", verb, n, lines, got)
		}
	}
}

// What goes wrong is told on stderr, in a peer's own words.
func TestAPeersErrorForgesNoLine(t *testing.T) {
	t.Parallel()
	said := inWords("orderd", "127.0.0.1:1", status.Error(codes.Internal, forged))
	for _, err := range []error{said, errors.New(strings.ReplaceAll(forged, "\n", ""))} {
		var out bytes.Buffer
		exitCode(&out, err, nil, false)
		wantPlain(t, "stderr", out.String())
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("got %d lines, want 1:\n%s", n, out.String())
		}
	}
}

// wantPlain wants nothing in a text but lines.
func wantPlain(t interface{ Errorf(string, ...any) }, what, text string) {
	if !utf8.ValidString(text) {
		t.Errorf("%s: got %+q, want UTF-8", what, text)
	}
	for _, r := range strings.ReplaceAll(text, "\n", "") {
		if unicode.IsControl(r) || strings.ContainsRune("\u2028\u2029\u202a\u202e\u2066\u2069\u200b\ufeff", r) {
			t.Errorf("%s: got %U in %+q, want it escaped", what, r, text)
			return
		}
	}
}
