package pgembed_test

import (
	"os"
	"strings"
	"testing"

	"hosho/internal/pgembed"
)

// initdb runs once for all servers of a test run: what the others get is a copy, and is their own.
func TestTheSecondServerIsACopyOfTheFirstsBeginning(t *testing.T) {
	clusters := t.TempDir()
	t.Setenv(pgembed.Clusters, clusters)
	for i, made := range []bool{true, false} {
		s := start(t, pgembed.Config{})
		if err := s.CreateDatabase(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(s.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		if ran := strings.Contains(string(log), "performing post-bootstrap initialization"); ran != made {
			t.Errorf("server %d: initdb ran: %v, want %v", i+1, ran, made)
		}
		const others = `SELECT count(*) FROM pg_database WHERE NOT datistemplate`
		if n := query[int](t, s, "postgres", others); n != 2 {
			t.Errorf("server %d: got %d databases, want postgres and orders", i+1, n)
		}
	}
	kept, err := os.ReadDir(clusters)
	if err != nil || len(kept) != 1 {
		t.Errorf("got %v (%v) in the folder, want one data directory", kept, err)
	}
}
