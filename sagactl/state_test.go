package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/terminal"
)

// All relays read one outbox, so the first one's counts are everybody's; but each has breakers of its own.
func TestMergeTellsWhichRelaysHoldBack(t *testing.T) {
	t.Parallel()
	backlog := func(relay string, due int64, chargesOpen bool) *relayv1.GetBacklogResponse {
		age := durationpb.New(1234567 * time.Microsecond)
		return &relayv1.GetBacklogResponse{Relay: relay, Kinds: []*relayv1.KindBacklog{
			{Kind: relayv1.ParkedCommand_KIND_CHARGE, Due: due, OldestAge: age, BreakerOpen: chargesOpen},
			{Kind: relayv1.ParkedCommand_KIND_VOID, Waiting: 1},
		}}
	}
	got := merge([]*relayv1.GetBacklogResponse{
		nil, backlog("a:1", 7, true), backlog("b:1", 8, false), {Relay: "of an older version"}, backlog("c:1", 9, true),
	})
	want := []kindState{
		{Kind: "CHARGE", Due: 7, Oldest: elapsed(1234567 * time.Microsecond), Open: []string{"a:1", "c:1"}},
		{Kind: "VOID", Waiting: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}

// A relay that paymentd's policy or certificate refuses is ready, and delivers nothing: that is not well.
func TestARelayThatDeliversNothingIsNotWell(t *testing.T) {
	t.Parallel()
	state := systemState{
		Daemons: []daemonState{{Service: "relay", Ready: true, Version: "v1"}},
		Backlog: []kindState{{Kind: "CHARGE", Open: []string{"a:1"}}, {Kind: "VOID"}},
	}
	if state.isWell() {
		t.Error("got a system that is well")
	}
	p := statusPrinter{paint: func(_ terminal.Style, text string) string { return text }}
	p.verdict(state)
	const want = "Each CHARGE waits at relay a:1"
	if text := strings.Join(p.lines, "\n"); !strings.Contains(text, want) || strings.Contains(text, "VOID") {
		t.Errorf("got %q, want %q and nothing of voids", text, want)
	}
	for process, want := range map[string]string{"a:1": "the broker is away", "b:1": "paymentd is away"} {
		state.Daemons = []daemonState{{Ready: true, Process: process, Way: &wayState{Transport: "nats"}}}
		p.lines = nil
		p.verdict(state)
		if text := strings.Join(p.lines, "\n"); !strings.Contains(text, want) {
			t.Errorf("over a broker at %s: got %q, want %q", process, text, want)
		}
	}
	state.Backlog[0].Open = nil
	if !state.isWell() {
		t.Error("got a system that is not well, and nothing is wrong with it")
	}
}

// What is wrong with the payments database is told with what to do, and keeps the system from being well.
func TestTheStateTellsWhatIsWrongWithThePaymentsDatabase(t *testing.T) {
	t.Parallel()
	if got := paymentsOf(&relayv1.PaymentsDatabase{Told: "a", Trusted: "a"}, nil); got != nil {
		t.Errorf("got %v, want nothing wrong", got)
	}
	for _, tt := range []struct {
		is   *relayv1.PaymentsDatabase
		want []string
	}{
		{
			&relayv1.PaymentsDatabase{Problem: relayv1.PaymentsDatabase_PROBLEM_ANOTHER, Told: "new", Trusted: "old"},
			[]string{"has payments database new", "trust old", "sagactl accept-payments new --reason"},
		},
		{
			&relayv1.PaymentsDatabase{Problem: relayv1.PaymentsDatabase_PROBLEM_UNTOLD, Trusted: "old"},
			[]string{"trust old", "Upgrade paymentd"},
		},
		{
			&relayv1.PaymentsDatabase{
				Problem: relayv1.PaymentsDatabase_PROBLEM_CLOCK, ClockAhead: durationpb.New(-time.Hour),
			},
			[]string{"-1h0m"},
		},
		{&relayv1.PaymentsDatabase{Problem: 99}, []string{"99"}},
	} {
		got := paymentsOf(tt.is, nil)
		for _, want := range tt.want {
			if got == nil || !strings.Contains(got.String(), want) {
				t.Errorf("%v: got %v, want it to say %q", tt.is, got, want)
			}
		}
		if !(daemonState{Payments: got}).misled() {
			t.Errorf("%v: got a relay that is well", tt.is)
		}
	}
}

// Over a broker another payments database is heard of, and commands go on. Most likely environments share a prefix.
func TestTheStateTellsOfAnotherPaymentsDatabaseThatIsHeardOf(t *testing.T) {
	t.Parallel()
	got := paymentsOf(&relayv1.PaymentsDatabase{
		Problem: relayv1.PaymentsDatabase_PROBLEM_ANOTHER, Told: "new", Trusted: "old",
		AskTime: timestamppb.New(time.Now().Add(-2 * time.Minute)),
	}, &wayState{Transport: "kafka", Prefix: "shop"}).String()
	for _, want := range []string{"database new on shop.payments, the last 2m", "trust old", "want a prefix each"} {
		if !strings.Contains(got, want) || strings.Contains(got, "nothing is sent") {
			t.Errorf("got %q, want it to say %q", got, want)
		}
	}
}

// A broker that cannot be had, and one over which nobody answers, keep the system from being well, and it is told what
// to look at.
func TestTheStateTellsOfABrokerThatNobodyAnswersOver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		way  *relayv1.Way
		want string // empty: all is well
	}{
		"calls":          {&relayv1.Way{Transport: "grpc"}, ""},
		"an old release": {nil, ""},
		"well":           {&relayv1.Way{Transport: "nats", Prefix: "hosho"}, ""},
		"away":           {&relayv1.Way{Transport: "nats", Away: "hung up"}, "broker (nats) cannot be had: hung up"},
		"silent": {
			&relayv1.Way{Transport: "nats", Prefix: "shop", Silence: durationpb.New(40 * time.Second)},
			"no payment event has come for 40s, and commands wait for one. Is a paymentd there that takes events, " +
				"from the same broker and with the prefix shop?",
		},
	} {
		state := systemState{Daemons: []daemonState{{
			Service: "relay", Ready: true, Address: "a:1", Version: "v1", Way: wayOf(tt.way),
		}}}
		state.OK = state.isWell()
		p := statusPrinter{paint: func(_ terminal.Style, text string) string { return text }}
		p.verdict(state)
		text := strings.Join(p.lines, "\n")
		if state.OK != (tt.want == "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: got %v, %q, want %q", name, state.OK, text, tt.want)
		}
	}
}

// What orders database is met and not trusted is told with what to do, and keeps the system from being well.
func TestTheStateTellsOfAnotherOrdersDatabase(t *testing.T) {
	t.Parallel()
	if got := ordersOf(&paymentv1.GetDatabaseResponse{OrdersDatabase: "a"}); got != nil {
		t.Errorf("got %v, want nothing wrong", got)
	}
	d := daemonState{Service: "paymentd", Ready: true, Address: "a:1", Orders: ordersOf(
		&paymentv1.GetDatabaseResponse{OrdersDatabase: "old", RefusedOrdersDatabase: "new"},
	)}
	state := systemState{Daemons: []daemonState{d}}
	p := statusPrinter{paint: func(_ terminal.Style, text string) string { return text }}
	p.verdict(state)
	text := strings.Join(p.lines, "\n")
	for _, want := range []string{
		"Paymentd at a:1: ", "orders database new", "trust old", "sagactl accept-orders new --reason",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want it to say %q", text, want)
		}
	}
	if state.isWell() {
		t.Error("got a system that is well")
	}
}
