package main

import (
	"log/slog"
	"strings"
	"testing"

	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

func TestServingWaitsForTheSchemaAndSaysHowToGetIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	ready := program.Database.Ready(db.Pool, paymentdb.Needs())
	err := ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "paymentd migrate") {
		t.Fatalf("got %v, want an error that names `paymentd migrate`", err)
	}
	for range 2 { // the second finds it up to date
		c := &daemon.Migrate{Database: daemon.Database{DatabaseURL: db.URL}}
		if err := c.Run(t.Context(), slog.New(slog.DiscardHandler), program.Database); err != nil {
			t.Fatal(err)
		}
	}
	if err := ready(t.Context()); err != nil {
		t.Errorf("after the migration: %v", err)
	}
}
