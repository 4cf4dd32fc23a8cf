package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"hosho/internal/lab/collector"
	"hosho/internal/order"
)

const (
	callers   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00"
)

// traceRelays has relays traced that start from now on. The environment says so: such a test is parallel to none.
func traceRelays(t *testing.T) *collector.Collector {
	t.Helper()
	c, err := collector.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint())
	return c
}

// under has an order's commands be of a trace.
func (s *system) under(o order.Order, traceparent string) {
	s.exec(`UPDATE outbox SET traceparent = $2 WHERE key = $1`, o.ID, traceparent)
}

func TestEachDeliveryIsASpanOfItsOrdersTrace(t *testing.T) {
	c := traceRelays(t)
	s := newSystem(t)
	o := s.place()
	s.under(o, callers)
	s.peer.script(o.ID, order.Charge, fails(codes.Internal, "INTERNAL", 0), fails(codes.NotFound, "", 0))
	relay := s.relay()
	s.await(o.ID, order.Cancelled)
	relay.stop()
	spans := c.Spans()
	of := collector.Trace(spans, callers[3:35])
	const about = "hosho.order.id"
	want := `
relay: deliver CHARGE  attempt=1  claim=1  code=INTERNAL  kind=CHARGE  means=ambiguous  ERROR
relay: settle  code=INTERNAL  kind=CHARGE  means=ambiguous  ERROR
relay: deliver CHARGE  attempt=2  claim=2  code=NOT_FOUND  kind=CHARGE  means=refused  ERROR
relay: settle  code=NOT_FOUND  kind=CHARGE  means=refused  status=CANCELLING  ERROR
relay: deliver VOID  attempt=1  claim=1  code=OK  kind=VOID  means=decided
relay: settle  code=OK  kind=VOID  means=decided  status=CANCELLED
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), collector.Tree(of)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	for i, a := range append(s.peer.arrived(o.ID, order.Charge), s.peer.arrived(o.ID, order.Void)...) {
		delivery := of[2*i]
		if got, want := a.traceparent, "00-"+delivery.TraceID+"-"+delivery.ID+"-01"; got != want {
			t.Errorf("delivery %d: was sent under %q, want its span's own context, %q", i, got, want)
		}
		if delivery.Parent != callers[36:52] || delivery.Attributes[about] != o.ID {
			t.Errorf("delivery %d: got %+v, want a child of the outbox row's context", i, delivery)
		}
	}
	linked := map[string]int{}
	for _, s := range spans {
		if s.TraceID != callers[3:35] && len(s.Links) == 1 && s.Links[0] == callers[3:35] && s.Parent == "" {
			linked[s.Name]++
		}
	}
	if linked["claim"] != 3 || linked["settle"] != 3 {
		t.Errorf("got %v, want a claim and a settling for each delivery, which lead to the order", linked)
	}
}

func TestACommandGoesOnUnderWhatTheOutboxSaysWhereItIsNotTraced(t *testing.T) {
	for name, traced := range map[string]bool{"off": false, "on": true} {
		t.Run(name, func(t *testing.T) {
			var c *collector.Collector
			sampled := callers
			if traced {
				c, sampled = traceRelays(t), unsampled
			}
			for _, alone := range []bool{false, true} {
				s := newSystem(t)
				o, plain := s.place(), s.place()
				s.under(o, sampled)
				if alone {
					s.suspect()
				}
				relay := s.relay()
				s.await(o.ID, order.Completed)
				s.await(plain.ID, order.Completed)
				relay.stop()
				for id, want := range map[string]string{o.ID: sampled, plain.ID: ""} {
					if got := s.peer.arrived(id, order.Charge)[0]; got.traceparent != want || got.alone != alone {
						t.Errorf("alone %t: got %+v, want it to be sent under %q", alone, got, want)
					}
				}
			}
			if traced && c.Calls() > 0 {
				t.Errorf("got %v, want no spans", names(c.Spans()))
			}
		})
	}
}

func names(spans []collector.Span) string {
	text := ""
	for _, s := range spans {
		text += fmt.Sprintln(s.Service, s.Name)
	}
	return text
}

func TestACallOfItsOwnCarriesItsTrace(t *testing.T) {
	c := traceRelays(t)
	s := newSystem(t)
	o := s.place()
	s.under(o, callers)
	s.suspect()
	relay := s.relay()
	s.await(o.ID, order.Completed)
	relay.stop()
	a := s.peer.arrived(o.ID, order.Charge)[0]
	for _, span := range collector.Trace(c.Spans(), callers[3:35]) {
		if span.Name == "deliver CHARGE" && a.alone && a.traceparent == "00-"+span.TraceID+"-"+span.ID+"-01" &&
			span.Attributes["rpc.method"] == "payment.v1.PaymentService/ChargePayment" {
			return
		}
	}
	t.Errorf("got %+v, want it to be sent alone under its span's context", a)
}

// An order that goes well leaves no attempt, unless it is traced: then whoever asks for it finds its trace.
func TestATracedOrderThatGoesWellTellsItsTrace(t *testing.T) {
	traceRelays(t)
	s := newSystem(t)
	traced, other := s.place(), s.place()
	s.under(traced, callers)
	s.under(other, unsampled)
	relay := s.relay()
	s.await(traced.ID, order.Completed)
	s.await(other.ID, order.Completed)
	found := s.explain(relay, traced.ID).GetAttempts()
	if len(found) != 1 || found[0].GetTraceId() != callers[3:35] {
		t.Errorf("the traced order: got attempts %v, want one with its trace", found)
	}
	if found := s.explain(relay, other.ID).GetAttempts(); len(found) != 0 {
		t.Errorf("the other one: got attempts %v, want none", found)
	}
	relay.stop()
}
