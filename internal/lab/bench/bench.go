// Package bench measures how many sagas a private system completes, how long they take and what each of them costs.
//
// Its promise: the figures are those of real processes on durable databases, beside those of pgbench on the same server
// right before and right after; a call's latency counts from when it was due; a rate whose backlog grows is not called
// throughput; and all invariants hold when nothing is under way any more, or the run has failed, however fast it was.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hosho/internal/lab/load"
)

// Mode is how a caller learns what became of an order.
type Mode string

// The modes.
const (
	Stream Mode = "stream" // it shares a stream with others, CreateOrders, which tells both
	Wait   Mode = "wait"   // CreateOrder answers when the order is settled
	Watch  Mode = "watch"  // CreateOrder, then WatchOrder until the order is settled
	Create Mode = "create" // it does not: CreateOrder alone
	HTTP   Mode = "http"   // nor does it here: the same call through orderd's JSON door, beside Create
)

// Modes are all of them.
var Modes = []Mode{Stream, Wait, Watch, Create, HTTP}

// learns reports whether a caller of the mode learns what became of its order.
func (m Mode) learns() bool { return m != Create && m != HTTP }

// Config says what to measure. Every field is needed that does not say otherwise.
type Config struct {
	Bin      string        // the folder with the daemons and sagactl
	Dir      string        // for databases and logs
	Scenario string        // one of Scenarios; empty: throughput and latency alone
	Duration time.Duration // of what is measured; warming up comes before
	Pgbench  time.Duration // of each of its runs, in whole seconds
	Clients  int
	Mode     Mode
	Streams  int // that the clients share, with Stream
	Relays   int
	Rate     float64 // orders a second, whether or not those before were answered; 0: each client when it is done
	Sweep    bool    // also from one client to all of them, and from a tenth of the peak rate to all of it

	Traces float64 // the ratio of orders that are traced, to a collector of its own that keeps nothing; 0: none is

	TLS bool // every connection between the processes is mutual TLS, and every call is held against a policy

	Transport string // what the sagas go over, see stack.Config; empty: calls

	Rows     int // the settled orders of the scenario rows
	Backlog  int // the orders of the scenario backlog
	Watchers int // of the scenario watchers

	Tell func(text string) // is told what happens, as it happens; may be nil
	Tick func(text string) // is told how it goes, once a second; may be nil
}

// Result is what was measured. Its own figures are those of the load that the scenario is about.
type Result struct {
	Machine     Machine           `json:"machine"`
	Postgres    map[string]string `json:"postgres"` // settings by their names
	FsyncMS     float64           `json:"fsync_probe_ms"`
	Scenario    string            `json:"scenario,omitempty"`
	Traces      float64           `json:"traces,omitempty"` // the ratio of orders that are traced
	Interrupted bool              `json:"interrupted,omitempty"`

	Load

	PgbenchTPS  float64            `json:"pgbench_tps"` // the mean of both
	Pgbench     []float64          `json:"pgbench_tps_before_and_after"`
	PgbenchCPU  []float64          `json:"pgbench_cpu_us_before_and_after,omitempty"` // of a transaction; Linux
	Ratio       float64            `json:"ratio"`
	Void        bool               `json:"void"` // the two differ too much
	RowVersions map[string]float64 `json:"row_versions_per_saga"`

	Loads             []Load   `json:"loads,omitempty"`              // all that were measured, if more than one
	Idle              *Idle    `json:"idle,omitempty"`               // of the scenario idle
	Drained           *Drained `json:"backlog,omitempty"`            // of the scenario backlog
	Minutes           []Bloat  `json:"minutes,omitempty"`            // of the scenario hour
	Shares            []Share  `json:"shares,omitempty"`             // what the scenario compares
	Calls             *Calls   `json:"http_beside_native,omitempty"` // of the mode http; Linux
	Console           *Console `json:"console,omitempty"`            // of the scenario console
	Broken            []string `json:"violations"`
	Orders            int64    `json:"orders"`
	byClients, byRate []Load
}

// Share is a rate beside those that it is compared with.
type Share struct {
	What   string    `json:"what"`
	Share  float64   `json:"share"`  // of their mean
	Beside []float64 `json:"beside"` // sagas a second
}

// Machine is what it was measured on.
type Machine struct {
	Cores   int    `json:"cores"`
	Threads int    `json:"gomaxprocs"` // of each daemon, and of the clients
	System  string `json:"system"`
	Go      string `json:"go"`
}

// Scenario is something that is measured beside throughput and latency.
type Scenario struct {
	Name, Says string
	Duration   time.Duration // by default
	run        func(*system, context.Context) error
}

// Scenarios are all of them.
var Scenarios = []Scenario{
	{"idle", "what the daemons ask their databases while nothing happens", time.Minute, (*system).idle},
	{"snapshot", "a snapshot of the orders database is held", usual, (*system).snapshot},
	{"rows", "millions of settled orders are there already", usual, (*system).rows},
	{"backlog", "orders wait that came while paymentd was down", usual, (*system).backlog},
	{"relays", "1, 2, 4 and 8 relays", usual, (*system).relays},
	{"watchers", "thousands watch orders that do not change", usual, (*system).watchers},
	{"console", "somebody looks at a console, and nobody does, in turns", usual, (*system).console},
	{"hour", "how large the tables are each minute", time.Hour, (*system).hour},
}

// usual is how long a load is measured unless somebody says otherwise.
const usual = 20 * time.Second

// DurationOf returns how long a scenario is measured by default. It returns an error when there is no such scenario.
func DurationOf(scenario string) (time.Duration, error) {
	if scenario == "" {
		return usual, nil
	}
	s, err := find(scenario)
	return s.Duration, err
}

func find(scenario string) (Scenario, error) {
	i := slices.IndexFunc(Scenarios, func(s Scenario) bool { return s.Name == scenario })
	if i >= 0 {
		return Scenarios[i], nil
	}
	var names []string
	for _, s := range Scenarios {
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("got %q, want one of %s", scenario, strings.Join(names, ", "))
}

// endTime bounds what is done once somebody has interrupted it.
const endTime = 30 * time.Second

// Run measures. When ctx ends it stops, and returns what was measured until then with the context's error. Any other
// error means that it could not be measured.
func Run(ctx context.Context, c Config) (Result, error) {
	play := (*system).plain
	if c.Scenario != "" {
		scenario, err := find(c.Scenario)
		if err != nil {
			return Result{}, err
		}
		play = scenario.run
	}
	pgbench, err := findPgbench()
	if err != nil {
		return Result{}, err
	}
	defer load.CollectRarely()()
	s, err := start(ctx, c, pgbench)
	if err != nil {
		return Result{}, err
	}
	err = s.measure(ctx, play)
	s.result.Interrupted = ctx.Err() != nil
	return s.result, errors.Join(err, s.stop())
}

// measure plays a scenario between two runs of pgbench, and checks what it left.
func (s *system) measure(ctx context.Context, play func(*system, context.Context) error) error {
	if err := s.describe(ctx); err != nil {
		return err
	}
	loaded := s.config.Scenario != "idle"
	if loaded {
		if err := s.compare(ctx); err != nil {
			return err
		}
	}
	if err := play(s, ctx); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if loaded {
		if err := s.compare(ctx); err != nil {
			return err
		}
	}
	return s.prove(ctx)
}
