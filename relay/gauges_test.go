package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/command"
	"hosho/internal/orderdb"
	"hosho/internal/scrape"
)

// What the outbox holds is told with the rights of a relay, and zeros are told as well.
func TestWhatTheOutboxHoldsIsToldToWhoeverScrapes(t *testing.T) {
	t.Parallel()
	s, registry := newSystemDown(t), prometheus.NewRegistry()
	of := &server{store: orderdb.New(s.db.As(t, orderdb.RelayNeeds()).Pool, command.Encode), stuckAfter: time.Minute}
	due, parked, waiting := s.place(), s.place(), s.place()
	s.cancelling()
	s.exec(`UPDATE outbox SET parked_at = clock_timestamp() WHERE key = $1`, parked.ID)
	s.exec(`UPDATE outbox SET ready_at = clock_timestamp() + interval '1 hour' WHERE key = $1`, waiting.ID)
	s.exec(`UPDATE outbox SET created_at = clock_timestamp() - interval '5 minutes' WHERE key = $1`, due.ID)
	of.tellOutbox(scrape.New(registry, s.logger()))

	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"hosho_outbox_commands", []string{"VOID", "due"}, 1},
		{"hosho_outbox_commands", []string{"CHARGE", "due"}, 1},
		{"hosho_outbox_commands", []string{"VOID", "parked"}, 0},
		{"hosho_outbox_commands", []string{"CHARGE", "leased"}, 0},
		{"hosho_outbox_commands", []string{"CHARGE", "waiting"}, 1},
		{"hosho_outbox_commands", []string{"CHARGE", "parked"}, 1},
		{"hosho_outbox_stuck", []string{"parked"}, 1},
		{"hosho_outbox_stuck", []string{"unwanted"}, 0},
		{"hosho_outbox_stuck", []string{"conflict"}, 0},
		{"hosho_outbox_stuck", []string{"overdue"}, 0},
		{"hosho_outbox_stuck", []string{"undecided"}, 0},
		{"hosho_outbox_stuck", []string{"tried_in_vain"}, 0},
	} {
		if got := moved(t, registry, want.name, want.labels...); got != want.value {
			t.Errorf("%s%q: got %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if got := moved(t, registry, "hosho_outbox_oldest_age_seconds", "CHARGE"); got < 300 || got > 600 {
		t.Errorf("got %v s as the age of the oldest charge, want five minutes", got)
	}
	moved(t, registry, "hosho_outbox_dead_tuples")
}
