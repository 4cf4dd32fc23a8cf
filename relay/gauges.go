package main

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/order"
	"hosho/internal/scrape"
)

const (
	// mostCounted bounds what is counted of the outbox for a scrape: a backlog of millions costs no more.
	mostCounted = 100_000
	// mostLookedAt is how many commands are looked at for those that are stuck, along with their orders.
	mostLookedAt = 10_000
)

// tellOutbox has the metrics of what the outbox holds asked for by those who scrape. All relays tell the same.
func (s *server) tellOutbox(to *scrape.Scrape) {
	commands := prometheus.NewDesc("hosho_outbox_commands",
		"Commands in the outbox, each in one state: due, it may be taken up now; leased, a relay holds it; waiting, "+
			"for its next attempt; parked, for an operator. 100000 stands for that many and any number above, of due "+
			"and leased together.",
		[]string{"kind", "state"}, nil)
	oldest := prometheus.NewDesc("hosho_outbox_oldest_age_seconds",
		"How long ago the oldest command of the kind was written, in whichever state it is, in seconds; 0 where "+
			"there is none. A CHARGE is written when its order is accepted, a VOID when its order is given up.",
		[]string{"kind"}, nil)
	to.Add("outbox", func(ctx context.Context) ([]prometheus.Metric, error) {
		return s.tally(ctx, commands, oldest)
	}, commands, oldest)

	stuck := prometheus.NewDesc("hosho_outbox_stuck",
		"Commands that need a person, among the oldest 10000, by why. sagactl parked lists them with what each means.",
		[]string{"why"}, nil)
	to.Add("stuck", func(ctx context.Context) ([]prometheus.Metric, error) { return s.stuck(ctx, stuck) }, stuck)

	dead := prometheus.NewDesc("hosho_outbox_dead_tuples",
		"Versions of the outbox's rows that are dead and not vacuumed yet, as PostgreSQL estimates: whoever claims "+
			"passes over them.", nil, nil)
	to.Add("dead_tuples", func(ctx context.Context) ([]prometheus.Metric, error) {
		n, err := s.store.DeadTuples(ctx)
		return []prometheus.Metric{gauge(dead, float64(n))}, err
	}, dead)
}

func (s *server) tally(ctx context.Context, commands, oldest *prometheus.Desc) (all []prometheus.Metric, err error) {
	kinds, err := s.store.Tally(ctx, mostCounted)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		for state, n := range map[string]int64{
			"due": k.Due, "leased": k.Leased, "waiting": k.Waiting, "parked": k.Parked,
		} {
			all = append(all, gauge(commands, float64(n), k.Kind, state))
		}
		all = append(all, gauge(oldest, k.Oldest.Seconds(), k.Kind))
	}
	return all, nil
}

func (s *server) stuck(ctx context.Context, desc *prometheus.Desc) (all []prometheus.Metric, err error) {
	by, err := s.store.StuckBy(ctx, s.stuckAfter, mostLookedAt)
	if err != nil {
		return nil, err
	}
	for _, why := range order.Whys {
		all = append(all, gauge(desc, float64(by[why]), strings.ToLower(string(why))))
	}
	return all, nil
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
