package main

import (
	"log/slog"
	"strings"
	"testing"

	"hosho/internal/daemon"
	"hosho/internal/pgtest"
)

func TestServingWaitsForTheSchemaAndSaysHowToGetIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	err := ready(db.Pool)(t.Context())
	if err == nil || !strings.Contains(err.Error(), "paymentd migrate") {
		t.Fatalf("got %v, want an error that names `paymentd migrate`", err)
	}
	for range 2 { // the second finds it up to date
		c := &migrate{daemon.Database{DatabaseURL: db.URL}}
		if err := c.Run(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ready(db.Pool)(t.Context()); err != nil {
		t.Errorf("after the migration: %v", err)
	}
}
