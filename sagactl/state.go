package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/broker"
	"hosho/internal/rpc"
	"hosho/internal/span"
	"hosho/internal/story"
)

// systemState is how a system does.
type systemState struct {
	OK      bool           `json:"ok"` // every daemon is ready, everything is delivered, and nothing needs a person
	Daemons []daemonState  `json:"daemons"`
	Backlog []kindState    `json:"backlog"`        // empty where no relay could tell
	Persons map[string]int `json:"needs_a_person"` // commands, by why
	More    bool           `json:"more,omitempty"` // there are more than were counted
}

// daemonState is how a daemon does.
type daemonState struct {
	Service string `json:"service"`
	Address string `json:"address"`
	Ready   bool   `json:"ready"`
	Why     string `json:"why,omitempty"` // it is not
	Version string `json:"version,omitempty"`
	Process string `json:"process,omitempty"` // of a relay: host:pid

	Payments *paymentsState `json:"payments_database,omitempty"` // of a relay that knows something to be wrong with it
	Orders   *ordersState   `json:"orders_database,omitempty"`   // of a paymentd that is given the events of another
	Way      *wayState      `json:"way,omitempty"`               // of a relay
}

// wayState is how a relay's commands reach paymentd.
type wayState struct {
	Transport string  `json:"transport"`
	Prefix    string  `json:"prefix,omitempty"`  // of the broker's topics
	Away      string  `json:"away,omitempty"`    // why there is no connection to the broker
	Silence   elapsed `json:"silence,omitempty"` // for so long nobody has answered on it
}

func wayOf(w *relayv1.Way) *wayState {
	if w.GetTransport() == "" { // a release that knows of no other than calls
		return nil
	}
	return &wayState{
		Transport: w.GetTransport(), Prefix: w.GetPrefix(), Away: w.GetAway(),
		Silence: elapsed(w.GetSilence().AsDuration()),
	}
}

// overBroker reports whether commands go over one.
func (w *wayState) overBroker() bool { return w != nil && w.Transport != "grpc" }

// wrong says what is, and what to do; empty when nothing is.
func (w *wayState) wrong() string {
	switch {
	case w == nil:
		return ""
	case w.Away != "":
		return fmt.Sprintf("the broker (%s) cannot be had: %s. Commands wait in the outbox, and are published when it "+
			"can.", w.Transport, w.Away)
	case w.Silence > 0:
		return fmt.Sprintf("over %s no payment event has come for %s, and commands wait for one. Is a paymentd there "+
			"that takes events, from the same broker and with the prefix %s? Its log says; sagactl broker check looks "+
			"at the topics.", w.Transport, w.Silence, w.Prefix)
	}
	return ""
}

// ordersState is that a paymentd is given the events of another orders database than it is to act on.
type ordersState struct {
	Told    string `json:"told"`
	Trusted string `json:"trusted,omitempty"`
}

func ordersOf(r *paymentv1.GetDatabaseResponse) *ordersState {
	if r.GetRefusedOrdersDatabase() == "" {
		return nil
	}
	return &ordersState{Told: r.GetRefusedOrdersDatabase(), Trusted: r.GetOrdersDatabase()}
}

// String says what is wrong, and what to do.
func (o ordersState) String() string {
	return fmt.Sprintf("there are events of orders database %s, and the payments trust %s: they are not acted on. "+
		"Environments that share a broker want a prefix each. If it is the right one: sagactl accept-orders %s "+
		"--reason ...", o.Told, o.Trusted, o.Told)
}

// paymentsState is what is wrong with the payments database that a relay reaches.
type paymentsState struct {
	Problem    string  `json:"problem"`
	Told       string  `json:"told,omitempty"`    // its identity
	Trusted    string  `json:"trusted,omitempty"` // the identity that the orders trust
	ClockAhead elapsed `json:"clock_ahead,omitempty"`
	Age        elapsed `json:"age,omitempty"` // over a broker, since it was last heard of

	topic string // over a broker, where it was said
}

// elapsed is a time that passed. Programs are told it as Go writes durations, people as they say it.
type elapsed time.Duration

// MarshalText is called by encoding/json.
func (e elapsed) MarshalText() ([]byte, error) {
	return []byte(time.Duration(e).Round(time.Millisecond).String()), nil
}

func (e elapsed) String() string { return span.Text(time.Duration(e)) }

func paymentsOf(p *relayv1.PaymentsDatabase, way *wayState) *paymentsState {
	if p.GetProblem() == relayv1.PaymentsDatabase_PROBLEM_UNSPECIFIED {
		return nil
	}
	s := &paymentsState{
		Problem: strings.TrimPrefix(p.GetProblem().String(), "PROBLEM_"), Told: p.GetTold(), Trusted: p.GetTrusted(),
		ClockAhead: elapsed(p.GetClockAhead().AsDuration()),
	}
	if way.overBroker() {
		s.topic, s.Age = broker.Payments(way.Prefix), elapsed(max(time.Since(p.GetAskTime().AsTime()), 0))
	}
	return s
}

// String says what is wrong, and what to do.
func (p paymentsState) String() string {
	switch {
	case p.Problem == "ANOTHER" && p.topic != "":
		return fmt.Sprintf("there are events of payments database %s on %s, the last %s ago, and the orders trust %s: "+
			"they are not applied. Environments that share a broker want a prefix each. If it is the right one: "+
			"sagactl accept-payments %s --reason ...", p.Told, p.topic, p.Age, p.Trusted, p.Told)
	case p.Problem == "ANOTHER":
		return fmt.Sprintf("paymentd has payments database %s, and the orders trust %s: nothing is sent. "+
			"If it is the right one: sagactl accept-payments %s --reason ...", p.Told, p.Trusted, p.Told)
	case p.Problem == "UNTOLD":
		return fmt.Sprintf("paymentd does not tell its payments database, and the orders trust %s: nothing is sent. "+
			"Upgrade paymentd.", p.Trusted)
	case p.Problem == "CLOCK":
		return fmt.Sprintf("the payments database's clock differs from the orders database's by %s "+
			"(negative: it is behind). Charges may wait for it: mend the clock that is wrong.", p.ClockAhead)
	}
	return "with the payments database something is wrong that this sagactl does not know: " + p.Problem
}

func (d daemonState) notReady() bool { return !d.Ready }

// misled reports whether something is wrong with the way to the other side or with its database, as the daemon knows.
func (d daemonState) misled() bool { return len(d.misleading()) > 0 }

// misleading says what is.
func (d daemonState) misleading() (all []string) {
	if d.Orders != nil {
		all = append(all, d.Orders.String())
	}
	if d.Payments != nil {
		all = append(all, d.Payments.String())
	}
	if wrong := d.Way.wrong(); wrong != "" {
		all = append(all, wrong)
	}
	return all
}

// spoke reports whether the daemon could be reached at all.
func (d daemonState) spoke() bool { return d.Version != "" }

// kindState is what waits of a kind of commands.
type kindState struct {
	Kind    string   `json:"kind"`
	Due     int64    `json:"due"`
	Waiting int64    `json:"waiting"`
	Parked  int64    `json:"parked"`
	Oldest  elapsed  `json:"oldest,omitempty"`       // the oldest command's age
	Open    []string `json:"breaker_open,omitempty"` // the relays that hold it back, because it fails
}

// heldBack reports whether a relay takes this kind of commands to be undeliverable at present.
func (k kindState) heldBack() bool { return len(k.Open) > 0 }

// observed is a daemon that is asked how it does.
type observed struct {
	service, address string
	as               grpc.DialOption
	conn             *grpc.ClientConn
}

// observe asks every daemon at once, and then the first relay that can tell for what needs a person.
func observe(ctx context.Context, daemons []observed) systemState {
	s := systemState{Daemons: make([]daemonState, len(daemons)), Persons: map[string]int{}}
	backlogs := make([]*relayv1.GetBacklogResponse, len(daemons))
	var asked sync.WaitGroup
	for i, d := range daemons {
		asked.Go(func() { s.Daemons[i], backlogs[i] = d.observe(ctx) })
	}
	asked.Wait()
	s.Backlog = merge(backlogs)
	for i, d := range daemons {
		if backlogs[i] == nil {
			continue
		}
		if err := s.count(ctx, d); err != nil {
			s.Daemons[i].Ready, s.Daemons[i].Why = false, err.Error()
			continue
		}
		break
	}
	s.OK = s.isWell()
	return s
}

func (s *systemState) isWell() bool {
	return len(s.Persons) == 0 && !slices.ContainsFunc(s.Daemons, daemonState.notReady) &&
		!slices.ContainsFunc(s.Daemons, daemonState.misled) && !slices.ContainsFunc(s.Backlog, kindState.heldBack)
}

// observe asks a daemon for its health, a relay for the backlog, too, and a paymentd whom it trusts. One that is
// healthy and cannot tell is not ready.
func (d observed) observe(ctx context.Context) (state daemonState, backlog *relayv1.GetBacklogResponse) {
	state = d.check(ctx)
	var err error
	switch {
	case !state.Ready:
	case d.service == story.Paymentd:
		var is *paymentv1.GetDatabaseResponse
		is, err = paymentv1.NewPaymentServiceClient(d.conn).GetDatabase(ctx, &paymentv1.GetDatabaseRequest{})
		state.Orders = ordersOf(is)
	case d.service == story.Relay:
		backlog, err = relayv1.NewOutboxServiceClient(d.conn).GetBacklog(ctx, &relayv1.GetBacklogRequest{})
		state.Process = backlog.GetRelay()
		state.Way = wayOf(backlog.GetWay())
		state.Payments = paymentsOf(backlog.GetPaymentsDatabase(), state.Way)
	}
	if err != nil {
		state.Ready, state.Why = false, err.Error()
		return state, nil
	}
	return state, backlog
}

func (d observed) check(ctx context.Context) daemonState {
	state := daemonState{Service: d.service, Address: d.address}
	var header metadata.MD
	reply, err := healthpb.NewHealthClient(d.conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&header))
	if versions := header.Get(rpc.VersionHeader); len(versions) > 0 {
		state.Version = versions[0]
	}
	switch {
	case err != nil && rpc.Unreached(err):
		state.Why = "cannot be reached: " + reachError(err)
	case err != nil:
		state.Why = err.Error()
	case reply.GetStatus() != healthpb.HealthCheckResponse_SERVING:
		state.Why = "its log says why"
	default:
		state.Ready = true
	}
	return state
}

// merge returns the backlog as the first relay tells it, for they all read one outbox, with the breakers of all.
func merge(backlogs []*relayv1.GetBacklogResponse) []kindState {
	var kinds []kindState
	for _, backlog := range backlogs {
		if kinds == nil {
			kinds = kindsOf(backlog)
		}
		for i, k := range backlog.GetKinds()[:min(len(kinds), len(backlog.GetKinds()))] {
			if k.GetBreakerOpen() {
				kinds[i].Open = append(kinds[i].Open, backlog.GetRelay())
			}
		}
	}
	return kinds
}

func kindsOf(backlog *relayv1.GetBacklogResponse) []kindState {
	var kinds []kindState
	for _, k := range backlog.GetKinds() {
		kinds = append(kinds, kindState{
			Kind: story.Kind(k.GetKind()), Due: k.GetDue(), Waiting: k.GetWaiting(), Parked: k.GetParked(),
			Oldest: elapsed(k.GetOldestAge().AsDuration()),
		})
	}
	return kinds
}

// maxCounted is how many pages of commands are counted. One of them may be empty, when nobody is needed for all that
// the relay has looked at.
const maxCounted = 10

// count counts the commands that need a person, by why, as far as some pages of them go.
func (s *systemState) count(ctx context.Context, relay observed) error {
	outbox, request := relayv1.NewOutboxServiceClient(relay.conn), &relayv1.ListParkedRequest{PageSize: 1000}
	for range maxCounted {
		page, err := outbox.ListParked(ctx, request)
		if err != nil {
			return err
		}
		for _, c := range page.GetCommands() {
			s.Persons[story.Why(c.GetWhy())]++
		}
		request.PageToken = page.GetNextPageToken()
		if s.More = request.GetPageToken() != ""; !s.More {
			return nil
		}
	}
	return nil
}
